//! Everything public that `src/` defines, wherever it stands.

use super::macros::Arm;
use crate::floors::reader::{attributes, is_for_tests};
use crate::floors::tree::{ModulePath, Target, Tree};
use std::collections::BTreeMap;
use syn::{Attribute, Item, ItemImpl, Meta, UseTree, Visibility};

/// Where an item lives, and its name there.
pub(super) type Home = (ModulePath, String);

#[derive(Default)]
pub(super) struct Index {
    pub(super) items: BTreeMap<Home, Item>,
    /// The `impl` blocks of each type.
    pub(super) impls: BTreeMap<Home, Vec<(ModulePath, ItemImpl)>>,
    /// The attributes of `pub` modules and re-exports.
    attributes: BTreeMap<Home, Vec<Attribute>>,
    macros: BTreeMap<String, Arm>,
}

impl Index {
    pub(super) fn new(tree: &Tree<'_>, text_of: impl Fn(&str) -> String) -> Self {
        let mut index = Self::default();
        let mut files: Vec<(&ModulePath, &str, Vec<Item>)> = Vec::new();
        for (path, module) in tree.modules() {
            // Modules inside others are read with their file.
            if files.iter().all(|(_, file, _)| *file != module.file) {
                let syntax = syn::parse_file(&text_of(&module.file)).unwrap();
                files.push((path, &module.file, syntax.items));
            }
        }
        for (_, _, items) in &files {
            index.read_macros(items);
        }
        for (path, _, items) in files {
            index.read(tree, path, items);
        }
        index
    }

    fn read_macros(&mut self, items: &[Item]) {
        for item in items {
            if let Item::Macro(item) = item
                && let Some(name) = &item.ident
                && let Some(arm) = Arm::read(item.mac.tokens.clone())
            {
                self.macros.insert(name.to_string(), arm);
            }
        }
    }

    fn read(&mut self, tree: &Tree<'_>, path: &ModulePath, items: Vec<Item>) {
        let is_shipped = |item: &Item| !is_for_tests(attributes(item));
        for item in items.into_iter().filter(is_shipped) {
            let (name, public) = match &item {
                Item::Const(item) => (&item.ident, &item.vis),
                Item::Enum(item) => (&item.ident, &item.vis),
                Item::Fn(item) => (&item.sig.ident, &item.vis),
                Item::Struct(item) => (&item.ident, &item.vis),
                Item::Trait(item) => (&item.ident, &item.vis),
                Item::Type(item) => (&item.ident, &item.vis),
                Item::Mod(item) => (&item.ident, &item.vis),
                Item::Use(item) if is_public(&item.vis) => {
                    self.read_use(path, &item.tree, &item.attrs);
                    continue;
                }
                Item::Impl(_) => {
                    self.read_impl(tree, path, item);
                    continue;
                }
                Item::Macro(called) if called.ident.is_none() => {
                    if let Some(expanded) = self.expand(&called.mac) {
                        let file = syn::parse2::<syn::File>(expanded).unwrap();
                        self.read(tree, path, file.items);
                    }
                    continue;
                }
                _ => continue,
            };
            let home = (path.clone(), name.to_string());
            match item {
                Item::Mod(module) => {
                    self.attributes.insert(home, module.attrs);
                    if let Some((_, items)) = module.content {
                        let inner = [&path[..], &[module.ident.to_string()]].concat();
                        self.read(tree, &inner, items);
                    }
                }
                item if is_public(public) => {
                    self.items.insert(home, item);
                }
                _ => {}
            }
        }
    }

    fn read_use(&mut self, path: &ModulePath, tree: &UseTree, attributes: &[Attribute]) {
        let name = match tree {
            UseTree::Path(inner) => return self.read_use(path, &inner.tree, attributes),
            UseTree::Group(group) => {
                for inner in &group.items {
                    self.read_use(path, inner, attributes);
                }
                return;
            }
            UseTree::Name(name) => &name.ident,
            UseTree::Rename(rename) => &rename.rename,
            UseTree::Glob(_) => panic!("a surface is listed, not globbed: {path:?}"),
        };
        let home = (path.clone(), name.to_string());
        self.attributes.insert(home, attributes.to_vec());
    }

    fn read_impl(&mut self, tree: &Tree<'_>, path: &ModulePath, item: Item) {
        let Item::Impl(mut block) = item else { return };
        let syn::Type::Path(of) = &*block.self_ty else {
            return;
        };
        let names: Vec<_> = of.path.segments.iter().collect();
        let names: Vec<_> = names.iter().map(|name| name.ident.to_string()).collect();
        let mut items = Vec::new();
        for item in block.items {
            match item {
                syn::ImplItem::Macro(called) => {
                    let expanded = self.expand(&called.mac).expect("a macro of this crate");
                    let whole: ItemImpl = syn::parse2(quote::quote!(impl X { #expanded })).unwrap();
                    items.extend(whole.items);
                }
                item => items.push(item),
            }
        }
        block.items = items;
        for way in tree.follow(path, &names) {
            let home = match way.target {
                Target::Here {
                    module,
                    item: Some(name),
                } => (module, name),
                // The tree does not know what a macro defines here.
                Target::Elsewhere(names) if names.len() == 1 => (path.clone(), names[0].clone()),
                _ => continue,
            };
            // What is written for another name of a type belongs to that name.
            if Some(&home.1) != names.last() {
                continue;
            }
            let blocks = self.impls.entry(home).or_default();
            blocks.push((path.clone(), block.clone()));
        }
    }

    fn expand(&self, called: &syn::Macro) -> Option<proc_macro2::TokenStream> {
        let name = called.path.segments.last()?.ident.to_string();
        let arm = self.macros.get(&name)?;
        Some(arm.expand(called.tokens.clone()).unwrap())
    }

    /// The attributes of a name that is given on, or of a module.
    pub(super) fn attributes(&self, module: &ModulePath, name: &str) -> &[Attribute] {
        let home = (module.clone(), name.to_owned());
        self.attributes.get(&home).map_or(&[], Vec::as_slice)
    }
}

pub(super) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether the documentation leaves something out: it is not for users.
pub(super) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    })
}

/// What has to be true for something to be compiled.
pub(super) fn condition(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg") => {
                Some(super::words::tidy(list.tokens.clone()))
            }
            _ => None,
        })
}
