//! Each stack as a program would use it, so that the rows read alike.

pub mod sealgram;
