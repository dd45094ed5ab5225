//! Reads one file: its modules, and in each the names that it has and the paths that it mentions.
//!
//! Nothing is skipped but items under `#[cfg(test)]`. What stands inside macros is read as tokens.

use super::tree::ModulePath;
use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree, Visibility};

/// One file.
pub(crate) struct Parsed {
    /// Its module, then those inside it.
    pub(crate) modules: Vec<(ModulePath, Module)>,
    /// The modules that it declares and that lie in other files.
    pub(crate) declared: Vec<Declared>,
    /// Whether it opens with `#![cfg(test)]`.
    pub(crate) is_test: bool,
    /// How many lines are neither comments nor tests.
    pub(crate) lines: usize,
}

/// `mod name;`
pub(crate) struct Declared {
    /// Where the compiler looks for it.
    pub(crate) files: [String; 2],
    pub(crate) is_test: bool,
}

/// One module, in a file of its own or inside another.
pub(crate) struct Module {
    pub(crate) file: String,
    /// What names mean here. Those that a function imports for itself are among them.
    pub(crate) names: BTreeMap<String, Vec<Name>>,
    /// Those of them that are `pub`.
    pub(crate) public: BTreeSet<String>,
    /// The paths of glob imports.
    pub(crate) globs: Vec<Vec<String>>,
    pub(crate) mentions: Vec<Mention>,
    /// The types that methods are written for here, with the names of those.
    pub(crate) methods: Vec<(Vec<String>, Vec<String>)>,
    /// The methods that are called, with the line.
    pub(crate) calls: Vec<(String, usize)>,
    /// Every identifier and keyword that a rule asks for, with its line.
    pub(crate) words: Vec<(String, usize)>,
}

/// What a name means.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// A type, trait or macro that stands here.
    Item,
    /// A function or constant that stands here. No path goes on from it.
    Value,
    /// A module below this one.
    Module,
    /// What this path leads to: a re-export, or another name for a type.
    Alias(Vec<String>),
    /// The same of an import, which only this module and those inside it can name.
    Import(Vec<String>),
}

/// A path that stands in the code.
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// Why a path stands in the code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To be used there.
    Use,
    /// To bring something into scope.
    Import,
    /// To give something on under a name of this module, by `pub use` of whatever reach.
    Export,
}

/// Reads a file of `src/`, by its path below that.
pub(crate) fn read(file: &str, text: &str) -> Parsed {
    let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut reader = Reader {
        file,
        path: module_path(file),
        modules: Vec::new(),
        declared: Vec::new(),
        skipped: BTreeSet::new(),
    };
    reader
        .modules
        .push((reader.path.clone(), Module::new(file)));
    reader.visit_file(&syntax);
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let lines = text
        .lines()
        .enumerate()
        .filter(|(number, line)| !reader.skipped.contains(&(number + 1)) && !is_comment(line))
        .count();
    Parsed {
        modules: reader.modules,
        declared: reader.declared,
        is_test: is_for_tests(&syntax.attrs),
        lines,
    }
}

/// The module that a file is.
fn module_path(file: &str) -> ModulePath {
    let stem = file.strip_suffix(".rs").expect("a Rust file");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    match stem {
        "lib" => Vec::new(),
        _ => stem.split('/').map(str::to_owned).collect(),
    }
}

impl Module {
    fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            names: BTreeMap::new(),
            public: BTreeSet::new(),
            globs: Vec::new(),
            mentions: Vec::new(),
            methods: Vec::new(),
            calls: Vec::new(),
            words: Vec::new(),
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    /// The module that is being read.
    path: ModulePath,
    modules: Vec<(ModulePath, Module)>,
    declared: Vec<Declared>,
    /// The lines of tests.
    skipped: BTreeSet<usize>,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        let found = self.modules.iter_mut().find(|(path, _)| *path == self.path);
        &mut found.expect("the module that is being read").1
    }

    fn name(&mut self, name: &Ident, meaning: Name, visibility: &Visibility) {
        let module = self.module();
        if matches!(visibility, Visibility::Public(_)) {
            module.public.insert(word(name));
        }
        module.names.entry(word(name)).or_default().push(meaning);
    }

    fn mention(&mut self, path: Vec<String>, span: Span) {
        let line = span.start().line;
        self.module().mentions.push(Mention {
            path,
            line,
            kind: Kind::Use,
        });
    }

    fn skip(&mut self, span: Span) {
        self.skipped.extend(span.start().line..=span.end().line);
    }

    /// Takes one `use` apart: braces, renames, `self` and globs.
    fn import(&mut self, tree: &UseTree, before: &[String], visibility: &Visibility) {
        let with = |name: &Ident| [before, &[word(name)]].concat();
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(&path.ident), visibility),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before, visibility);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.alias(last, before.to_vec(), name.span(), visibility);
            }
            UseTree::Name(name) => {
                let path = with(&name.ident);
                self.alias(word(&name.ident), path, name.span(), visibility);
            }
            UseTree::Rename(rename) => {
                let path = match rename.ident == "self" {
                    true => before.to_vec(),
                    false => with(&rename.ident),
                };
                self.alias(word(&rename.rename), path, rename.span(), visibility);
            }
            UseTree::Glob(glob) => {
                self.mention(before.to_vec(), glob.span());
                self.module().globs.push(before.to_vec());
            }
        }
    }

    fn alias(&mut self, name: String, path: Vec<String>, span: Span, visibility: &Visibility) {
        self.mention(path.clone(), span);
        let module = self.module();
        if let Some(mention) = module.mentions.last_mut() {
            mention.kind = match visibility {
                Visibility::Inherited => Kind::Import,
                _ => Kind::Export,
            };
        }
        if matches!(visibility, Visibility::Public(_)) {
            module.public.insert(name.clone());
        }
        if name != "_" {
            let meaning = match visibility {
                Visibility::Inherited => Name::Import(path),
                _ => Name::Alias(path),
            };
            module.names.entry(name).or_default().push(meaning);
        }
    }

    /// Reads tokens, of which nothing is known, for paths: `a::b`, `a::{b, c::d}`, `::a::b`.
    fn tokens(&mut self, tokens: TokenStream, before: &[String]) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let colon = |at: usize| match tokens.get(at) {
            Some(TokenTree::Punct(punct)) => punct.as_char() == ':',
            _ => false,
        };
        let is_colon = |at: usize| colon(at) && colon(at + 1);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream(), before),
                TokenTree::Ident(ident) => {
                    let absolute = at >= 2 && is_colon(at - 2);
                    let mut path = before.to_vec();
                    if absolute && before.is_empty() {
                        path.push(String::new());
                    }
                    path.push(word(ident));
                    self.visit_ident(ident);
                    self.keyword(&format!(".{ident}()"), ident.span());
                    while is_colon(at + 1) {
                        match tokens.get(at + 3) {
                            Some(TokenTree::Ident(next)) => {
                                path.push(word(next));
                                self.visit_ident(next);
                                at += 3;
                            }
                            Some(TokenTree::Group(group))
                                if group.delimiter() == Delimiter::Brace =>
                            {
                                self.tokens(group.stream(), &path);
                                at += 3;
                            }
                            _ => break,
                        }
                    }
                    if path.len() > 1 {
                        self.mention(path, ident.span());
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

fn word(ident: &Ident) -> String {
    let word = ident.to_string();
    word.strip_prefix("r#").map(str::to_owned).unwrap_or(word)
}

/// Whether something is compiled for unit tests alone.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_cfg = |attribute: &&Attribute| attribute.path().is_ident("cfg");
    let mut conditions = attributes.iter().filter(is_cfg);
    conditions.any(|attribute| {
        attribute
            .parse_args::<Meta>()
            .is_ok_and(|condition| requires_test(&condition))
    })
}

/// Whether a condition is never true without `test`.
fn requires_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else {
        return condition.path().is_ident("test");
    };
    let parser = syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated;
    let Ok(parts) = list.parse_args_with(parser) else {
        return false;
    };
    if list.path.is_ident("all") {
        parts.iter().any(requires_test)
    } else {
        list.path.is_ident("any") && !parts.is_empty() && parts.iter().all(requires_test)
    }
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            if let Item::Mod(module) = item
                && module.content.is_none()
            {
                self.declare(module, true);
            }
            self.skip(item.span());
            return;
        }
        match item {
            Item::Const(item) => self.name(&item.ident, Name::Value, &item.vis),
            Item::Enum(item) => self.name(&item.ident, Name::Item, &item.vis),
            Item::Fn(item) => self.name(&item.sig.ident, Name::Value, &item.vis),
            Item::Static(item) => self.name(&item.ident, Name::Value, &item.vis),
            Item::Struct(item) => self.name(&item.ident, Name::Item, &item.vis),
            Item::Trait(item) => self.name(&item.ident, Name::Item, &item.vis),
            Item::TraitAlias(item) => self.name(&item.ident, Name::Item, &item.vis),
            Item::Type(item) => {
                self.name(&item.ident, Name::Item, &item.vis);
                if let syn::Type::Path(path) = &*item.ty {
                    self.name(&item.ident, Name::Alias(segments(&path.path)), &item.vis);
                }
            }
            Item::Union(item) => self.name(&item.ident, Name::Item, &item.vis),
            Item::ExternCrate(item) => {
                self.keyword("extern", item.span());
                let path = vec![String::new(), word(&item.ident)];
                let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
                self.alias(word(name), path, item.span(), &item.vis);
            }
            Item::Macro(item) => {
                if let Some(name) = &item.ident {
                    self.name(name, Name::Item, &Visibility::Inherited);
                }
            }
            Item::Verbatim(tokens) => self.tokens(tokens.clone(), &[]),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.name(&module.ident, Name::Module, &module.vis);
        for attribute in &module.attrs {
            self.visit_attribute(attribute);
        }
        let Some((_, items)) = &module.content else {
            self.declare(module, false);
            return;
        };
        self.path.push(word(&module.ident));
        let inner = (self.path.clone(), Module::new(self.file));
        self.modules.push(inner);
        for item in items {
            self.visit_item(item);
        }
        self.path.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let before = match item.leading_colon {
            Some(_) => vec![String::new()],
            None => Vec::new(),
        };
        self.visit_use_tree(&item.tree);
        self.visit_visibility(&item.vis);
        self.import(&item.tree, &before, &item.vis);
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Const(item) => &item.attrs[..],
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        match is_for_tests(attributes) {
            true => self.skip(item.span()),
            false => visit::visit_impl_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut names = segments(path);
        if path.leading_colon.is_some() {
            names.insert(0, String::new());
        }
        self.mention(names, path.span());
        visit::visit_path(self, path);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        // `<Type>::function` is a path of the type.
        if let Some(syn::QSelf {
            ty, position: 0, ..
        }) = &path.qself
            && let syn::Type::Path(of) = &**ty
        {
            let whole = [segments(&of.path), segments(&path.path)].concat();
            self.mention(whole, path.span());
        }
        visit::visit_expr_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        visit::visit_macro(self, called);
        self.tokens(called.tokens.clone(), &[]);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone(), &[]);
        }
    }

    fn visit_ident(&mut self, ident: &'ast Ident) {
        self.keyword(&word(ident), ident.span());
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let line = call.method.span().start().line;
        self.module().calls.push((word(&call.method), line));
        if call.args.is_empty() {
            self.keyword(&format!(".{}()", call.method), call.method.span());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_unsafe(&mut self, expression: &'ast syn::ExprUnsafe) {
        self.keyword("unsafe", expression.span());
        visit::visit_expr_unsafe(self, expression);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(unsafety) = signature.unsafety {
            self.keyword("unsafe", unsafety.span());
        }
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(unsafety) = item.unsafety {
            self.keyword("unsafe", unsafety.span());
        }
        if let (None, syn::Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            let functions = item.items.iter().filter_map(|item| match item {
                syn::ImplItem::Fn(function) => Some(word(&function.sig.ident)),
                _ => None,
            });
            let methods = (segments(&of.path), functions.collect());
            self.module().methods.push(methods);
        }
        visit::visit_item_impl(self, item);
    }
}

impl Reader<'_> {
    fn keyword(&mut self, word: &str, span: Span) {
        if super::IDENTIFIERS
            .iter()
            .any(|(watched, _)| *watched == word)
        {
            let line = span.start().line;
            self.module().words.push((word.to_owned(), line));
        }
    }

    /// A module in a file of its own. An attribute that says where would be followed wrongly, and
    /// is refused.
    fn declare(&mut self, module: &syn::ItemMod, is_test: bool) {
        let named = module
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("path"));
        assert!(!named, "{}: a module has the name of its file", self.file);
        let below = [&self.path[..], &[word(&module.ident)]].concat().join("/");
        self.declared.push(Declared {
            files: [format!("{below}.rs"), format!("{below}/mod.rs")],
            is_test,
        });
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| word(&segment.ident))
        .collect()
}
