//! Hellos of a stream, taken apart and put together again.

/// A hello of either side, taken apart.
#[derive(Clone)]
pub struct Hello {
    pub typ: u8,
    pub version: [u8; 2],
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    /// Suites and compression methods of a client; suite and method of a server.
    pub choices: Vec<u8>,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl Hello {
    pub fn parse(record: &[u8]) -> Self {
        let typ = record[5];
        let body = &record[9..message_end(record)];
        let session_end = 35 + usize::from(body[34]);
        let choices_end = if typ == 1 {
            let suites = usize::from(body[session_end]) * 256 + usize::from(body[session_end + 1]);
            session_end + 2 + suites + 2
        } else {
            session_end + 3
        };
        let mut extensions = Vec::new();
        let mut rest = &body[choices_end + 2..];
        while let [a, b, c, d, behind @ ..] = rest {
            let length = usize::from(*c) * 256 + usize::from(*d);
            extensions.push((u16::from_be_bytes([*a, *b]), behind[..length].to_vec()));
            rest = &behind[length..];
        }
        Self {
            typ,
            version: [body[0], body[1]],
            random: body[2..34].try_into().unwrap(),
            session_id: body[35..session_end].to_vec(),
            choices: body[session_end..choices_end].to_vec(),
            extensions,
        }
    }

    pub fn record(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        for (typ, body) in &self.extensions {
            extensions.extend(typ.to_be_bytes());
            extensions.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
            extensions.extend(body);
        }
        let body = [
            &self.version[..],
            &self.random,
            &[u8::try_from(self.session_id.len()).unwrap()],
            &self.session_id,
            &self.choices,
            &u16::try_from(extensions.len()).unwrap().to_be_bytes(),
            &extensions,
        ]
        .concat();
        let length = u16::try_from(body.len()).unwrap();
        let message = [&[self.typ, 0][..], &length.to_be_bytes(), &body].concat();
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        [&[22, 3, 3][..], &length, &message].concat()
    }

    pub fn extension(&mut self, typ: u16) -> &mut Vec<u8> {
        let found = self.extensions.iter_mut().find(|(known, _)| *known == typ);
        &mut found.expect("the extension is there").1
    }

    pub fn without(&mut self, typ: u16) {
        self.extensions.retain(|(known, _)| *known != typ);
    }
}

/// Where the first message of a record ends.
fn message_end(record: &[u8]) -> usize {
    9 + usize::from(record[7]) * 256 + usize::from(record[8])
}

/// The first record of what an end sends, and the rest.
pub fn first_record(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = 5 + usize::from(bytes[3]) * 256 + usize::from(bytes[4]);
    bytes.split_at(length)
}
