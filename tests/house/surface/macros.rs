//! Expands the macros of `src/` that write public items: `macro_rules!` of one arm.

use proc_macro2::{Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use std::collections::BTreeMap;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{ParseStream, Parser as _};

/// One arm of a macro.
pub(super) struct Arm {
    pattern: Vec<TokenTree>,
    body: Vec<TokenTree>,
}

/// What a name of a pattern stands for: once, or once for each repetition.
#[derive(Clone)]
enum Bound {
    Once(TokenStream),
    Each(Vec<Self>),
}

type Bindings = BTreeMap<String, Bound>;

/// `$name:kind`, `$(…) separator *`, or any other token.
enum Part<'a> {
    Name(String, Option<String>),
    Repeated(Vec<TokenTree>, Option<char>),
    Group(&'a Group),
    Token(&'a TokenTree),
}

impl Arm {
    /// The first arm of what stands between the braces of `macro_rules!`.
    pub(super) fn read(definition: TokenStream) -> Option<Self> {
        let mut groups = definition.into_iter().filter_map(|token| match token {
            TokenTree::Group(group) => Some(group.stream().into_iter().collect()),
            _ => None,
        });
        Some(Self {
            pattern: groups.next()?,
            body: groups.next()?,
        })
    }

    pub(super) fn expand(&self, call: TokenStream) -> syn::Result<TokenStream> {
        let parser = |input: ParseStream<'_>| bind(&self.pattern, input);
        let bindings = parser.parse2(call)?;
        Ok(write(&self.body, &bindings))
    }
}

/// Takes the next part off `tokens`.
fn part<'a>(tokens: &mut &'a [TokenTree]) -> Option<Part<'a>> {
    let (first, rest) = tokens.split_first()?;
    *tokens = rest;
    let is = |token: Option<&TokenTree>, wanted: char| match token {
        Some(TokenTree::Punct(punct)) => punct.as_char() == wanted,
        _ => false,
    };
    if !is(Some(first), '$') {
        return Some(match first {
            TokenTree::Group(group) => Part::Group(group),
            token => Part::Token(token),
        });
    }
    let (second, rest) = tokens.split_first()?;
    *tokens = rest;
    match second {
        TokenTree::Group(group) => {
            let mut separator = None;
            while let Some((TokenTree::Punct(punct), rest)) = tokens.split_first() {
                *tokens = rest;
                match punct.as_char() {
                    '*' | '+' | '?' => break,
                    other => separator = Some(other),
                }
            }
            Some(Part::Repeated(
                group.stream().into_iter().collect(),
                separator,
            ))
        }
        name => {
            let kind = match (is(tokens.first(), ':'), tokens.get(1)) {
                (true, Some(TokenTree::Ident(kind))) => Some(kind.to_string()),
                _ => None,
            };
            Some(Part::Name(name.to_string(), kind))
        }
    }
}

/// Matches a call with a pattern.
fn bind(mut pattern: &[TokenTree], input: ParseStream<'_>) -> syn::Result<Bindings> {
    let mut bindings = Bindings::new();
    while let Some(part) = part(&mut pattern) {
        match part {
            Part::Name(name, kind) => {
                pattern = &pattern[2..];
                bindings.insert(name, Bound::Once(fragment(kind.as_deref(), input)?));
            }
            Part::Repeated(inner, separator) => repeat(&inner, separator, input, &mut bindings)?,
            Part::Group(group) => {
                let TokenTree::Group(found) = input.parse()? else {
                    return Err(input.error("a group is missing"));
                };
                let inner: Vec<_> = group.stream().into_iter().collect();
                let parser = |input: ParseStream<'_>| bind(&inner, input);
                bindings.extend(parser.parse2(found.stream())?);
            }
            Part::Token(token) => {
                let found: TokenTree = input.parse()?;
                if found.to_string() != token.to_string() {
                    return Err(input.error(format!("{token} is missing")));
                }
            }
        }
    }
    Ok(bindings)
}

fn fragment(kind: Option<&str>, input: ParseStream<'_>) -> syn::Result<TokenStream> {
    Ok(match kind {
        Some("vis") => input.parse::<syn::Visibility>()?.into_token_stream(),
        Some("ident") => input.parse::<Ident>()?.into_token_stream(),
        Some("ty") => input.parse::<syn::Type>()?.into_token_stream(),
        Some("expr") => input.parse::<syn::Expr>()?.into_token_stream(),
        Some("literal") => input.parse::<syn::Lit>()?.into_token_stream(),
        Some("meta") => input.parse::<syn::Meta>()?.into_token_stream(),
        kind => return Err(input.error(format!("unknown fragment {kind:?}"))),
    })
}

/// Matches what a pattern says may come many times, for as long as it does.
fn repeat(
    inner: &[TokenTree],
    separator: Option<char>,
    input: ParseStream<'_>,
    bindings: &mut Bindings,
) -> syn::Result<()> {
    for name in names(inner) {
        bindings.insert(name, Bound::Each(Vec::new()));
    }
    while !input.is_empty() {
        let fork = input.fork();
        let Ok(once) = bind(inner, &fork) else {
            break;
        };
        input.advance_to(&fork);
        for (name, bound) in once {
            if let Some(Bound::Each(all)) = bindings.get_mut(&name) {
                all.push(bound);
            }
        }
        if separator.is_some() && !input.is_empty() {
            input.parse::<TokenTree>()?;
        }
    }
    Ok(())
}

/// The names in a part of a pattern or of a body.
fn names(mut tokens: &[TokenTree]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(part) = part(&mut tokens) {
        match part {
            Part::Name(name, _) => found.push(name),
            Part::Repeated(inner, _) => found.extend(names(&inner)),
            Part::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                found.extend(names(&inner));
            }
            Part::Token(_) => {}
        }
    }
    found
}

/// Writes a body with what its names stand for.
fn write(mut body: &[TokenTree], bindings: &Bindings) -> TokenStream {
    let mut written = TokenStream::new();
    while let Some(part) = part(&mut body) {
        match part {
            Part::Name(name, _) => match bindings.get(&name) {
                Some(Bound::Once(tokens)) => written.extend(tokens.clone()),
                // `$crate`
                _ => written.extend([TokenTree::Ident(Ident::new(&name, Span::call_site()))]),
            },
            Part::Repeated(inner, separator) => {
                for (at, bindings) in each(&inner, bindings).iter().enumerate() {
                    if let (Some(separator), true) = (separator, at > 0) {
                        let punct = Punct::new(separator, Spacing::Alone);
                        written.extend([TokenTree::Punct(punct)]);
                    }
                    written.extend(write(&inner, bindings));
                }
            }
            Part::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let group = Group::new(group.delimiter(), write(&inner, bindings));
                written.extend([TokenTree::Group(group)]);
            }
            Part::Token(token) => written.extend([token.clone()]),
        }
    }
    written
}

/// What the names stand for in each repetition of a part of a body.
fn each(inner: &[TokenTree], bindings: &Bindings) -> Vec<Bindings> {
    let mut all = Vec::new();
    for name in names(inner) {
        if let Some(Bound::Each(bounds)) = bindings.get(&name) {
            all.resize(bounds.len(), bindings.clone());
            for (bindings, bound) in all.iter_mut().zip(bounds) {
                bindings.insert(name.clone(), bound.clone());
            }
        }
    }
    all
}
