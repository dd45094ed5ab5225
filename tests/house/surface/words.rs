//! Writes tokens like a person would.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

pub(super) fn tidy(tokens: impl ToTokens) -> String {
    let mut words = Vec::new();
    collect(tokens.into_token_stream(), &mut words);
    without_homes(&mut words);
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        if at > 0 && is_apart(&words[at - 1], word) {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

fn collect(tokens: TokenStream, words: &mut Vec<String>) {
    let mut joins = false;
    for token in tokens {
        let joined = std::mem::take(&mut joins);
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                words.push(open.to_owned());
                collect(group.stream(), words);
                if words.last().is_some_and(|last| last == ",") {
                    words.pop();
                }
                words.push(close.to_owned());
            }
            TokenTree::Punct(punct) => {
                let last = words.last().map_or("", String::as_str);
                let pair = format!("{last}{}", punct.as_char());
                match joined && ["::", "->", "=>", ".."].contains(&pair.as_str()) {
                    true => *words.last_mut().unwrap() = pair,
                    false => words.push(punct.as_char().to_string()),
                }
                joins = punct.spacing() == proc_macro2::Spacing::Joint || punct.as_char() == '\'';
            }
            token => match words.last_mut() {
                Some(last) if last == "'" => last.push_str(&token.to_string()),
                _ => words.push(token.to_string()),
            },
        }
    }
}

/// Drops where in this crate a type lives: a user cannot name that.
fn without_homes(words: &mut Vec<String>) {
    let is_root = |word: &str| ["crate", "super", "self"].contains(&word);
    let mut at = 0;
    while at + 1 < words.len() {
        if is_root(&words[at]) && words[at + 1] == "::" {
            while words.get(at + 1).is_some_and(|next| next == "::") {
                words.drain(at..at + 2);
            }
        }
        at += 1;
    }
}

fn is_apart(before: &str, after: &str) -> bool {
    let is_word = before.ends_with(|last: char| {
        last.is_alphanumeric() || last == '_' || last == '>' && before != "->"
    });
    match (before, after) {
        ("(" | "[" | "<" | "::" | "&" | "!" | "?" | "", _) => false,
        (_, ")" | "]" | ">" | "," | ";" | "::" | ":" | "") => false,
        (_, "<") => !is_word,
        ("mut" | "dyn" | "in", "(") => true,
        (_, "(") => !is_word,
        _ => true,
    }
}
