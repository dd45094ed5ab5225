//! Writes one public item: a line for each thing that a user can do with it.

use super::index::{self, Home, Index};
use super::words::tidy;
use crate::floors::reader::is_for_tests;
use crate::floors::tree::{ModulePath, Target, Tree};
use std::collections::BTreeSet;
use syn::visit::Visit;
use syn::{Attribute, Fields, FnArg, ImplItem, Item, Meta, TraitItem};

/// What it is, with its path, and its lines.
pub(super) fn describe(
    tree: &Tree<'_>,
    index: &Index,
    home: &Home,
    path: &str,
    reached: &BTreeSet<Home>,
) -> Option<(String, Vec<String>)> {
    let item = index.items.get(home)?;
    let (head, mut lines) = match item {
        Item::Enum(item) => {
            let head = format!("enum {path}{}", generics(&item.generics));
            let variants = item.variants.iter().map(variant);
            (head, marks(&item.attrs).chain(variants).collect())
        }
        Item::Struct(item) => {
            let head = format!("struct {path}{}", generics(&item.generics));
            let fields = fields(&item.fields);
            (head, marks(&item.attrs).chain(fields).collect())
        }
        Item::Trait(item) => {
            let bounds = tidy(&item.supertraits);
            let colon = if bounds.is_empty() { "" } else { ": " };
            let generics = generics(&item.generics);
            let items = item.items.iter().filter_map(trait_item).collect();
            (format!("trait {path}{generics}{colon}{bounds}"), items)
        }
        Item::Type(item) => (format!("type {path} = {}", tidy(&item.ty)), Vec::new()),
        Item::Fn(item) => {
            let whole = signature(&item.sig);
            let own = format!("fn {}", item.sig.ident);
            (whole.replacen(&own, &format!("fn {path}"), 1), Vec::new())
        }
        Item::Const(item) => (format!("const {path}: {}", tidy(&item.ty)), Vec::new()),
        _ => return None,
    };
    let blocks = index.impls.get(home).map_or(&[][..], Vec::as_slice);
    let mut traits = derives(item);
    let mut called = Vec::new();
    for (from, block) in blocks {
        match &block.trait_ {
            Some((_, of, _)) if is_reached(tree, from, of, reached) => {
                let name = tidy(of.segments.last());
                let condition = index::condition(&block.attrs);
                traits.insert(super::with(name, condition.as_deref()));
            }
            Some(_) => {}
            None => called.extend(block.items.iter().filter_map(impl_item)),
        }
    }
    if !traits.is_empty() {
        let traits: Vec<_> = traits.into_iter().collect();
        lines.push(format!("is {}", traits.join(", ")));
    }
    called.sort_by_key(|line: &String| match line.split_once("fn ") {
        Some((_, name)) => (true, name.to_owned()),
        None => (false, line.clone()),
    });
    lines.extend(called);
    Some((head, lines))
}

fn variant(variant: &syn::Variant) -> String {
    let mut variant = variant.clone();
    variant
        .attrs
        .retain(|attribute| attribute.path().is_ident("non_exhaustive"));
    for field in &mut variant.fields {
        field.attrs.clear();
    }
    tidy(variant)
}

fn generics(generics: &syn::Generics) -> String {
    let mut generics = generics.clone();
    generics.where_clause = None;
    tidy(generics)
}

/// Attributes that change what a user may write.
fn marks(attributes: &[Attribute]) -> impl Iterator<Item = String> + '_ {
    let marks = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("non_exhaustive"));
    marks.map(|_| "non_exhaustive".to_owned())
}

fn fields(fields: &Fields) -> Vec<String> {
    let mut shown = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let name = field
            .ident
            .as_ref()
            .map_or(at.to_string(), ToString::to_string);
        if index::is_public(&field.vis) {
            shown.push(format!("{name}: {}", tidy(&field.ty)));
        }
    }
    if shown.len() < fields.len() {
        shown.push("and private fields".to_owned());
    }
    shown
}

fn impl_item(item: &ImplItem) -> Option<String> {
    let (visibility, attributes, text) = match item {
        ImplItem::Fn(item) => (&item.vis, &item.attrs, signature(&item.sig)),
        ImplItem::Const(item) => {
            let text = format!("const {}: {}", item.ident, tidy(&item.ty));
            (&item.vis, &item.attrs, text)
        }
        _ => return None,
    };
    let is_shown = !index::is_hidden(attributes) && !is_for_tests(attributes);
    (index::is_public(visibility) && is_shown)
        .then(|| super::with(text, index::condition(attributes).as_deref()))
}

fn trait_item(item: &TraitItem) -> Option<String> {
    match item {
        TraitItem::Fn(item) if !index::is_hidden(&item.attrs) => {
            let given = if item.default.is_some() {
                " { … }"
            } else {
                ""
            };
            Some(signature(&item.sig) + given)
        }
        TraitItem::Type(item) => Some(format!("type {}", item.ident)),
        TraitItem::Const(item) => Some(format!("const {}: {}", item.ident, tidy(&item.ty))),
        _ => None,
    }
}

/// A signature as a caller sees it: whether an argument is changed inside is no matter.
fn signature(signature: &syn::Signature) -> String {
    let mut signature = signature.clone();
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
            FnArg::Typed(argument) => {
                if let syn::Pat::Ident(name) = &mut *argument.pat {
                    name.mutability = None;
                }
            }
            FnArg::Receiver(_) => {}
        }
    }
    tidy(signature)
}

fn derives(item: &Item) -> BTreeSet<String> {
    let attributes = match item {
        Item::Enum(item) => &item.attrs[..],
        Item::Struct(item) => &item.attrs,
        _ => &[],
    };
    let derived = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("derive") => Some(tidy(list.tokens.clone())),
            _ => None,
        });
    derived
        .flat_map(|list| list.split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Whether users can name a trait and the types it is about.
fn is_reached(
    tree: &Tree<'_>,
    from: &ModulePath,
    of: &syn::Path,
    reached: &BTreeSet<Home>,
) -> bool {
    struct Paths(Vec<Vec<String>>);
    impl<'ast> Visit<'ast> for Paths {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            let names = path.segments.iter().map(|name| name.ident.to_string());
            self.0.push(names.collect());
            syn::visit::visit_path(self, path);
        }
    }
    let mut paths = Paths(Vec::new());
    paths.visit_path(of);
    let is_open = |target| match target {
        Target::Here { module, item } => item.is_some_and(|item| reached.contains(&(module, item))),
        Target::Elsewhere(_) => true,
    };
    paths.0.iter().all(|names| {
        let mut ways = tree.follow(from, names).into_iter();
        names[0] == "Self" || ways.any(|way| is_open(way.target))
    })
}
