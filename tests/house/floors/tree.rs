//! The modules of `src/` as the compiler sees them: what each one names, and where what it names
//! lives.
//!
//! A path is followed like the compiler follows it: from `crate`, `self`, `super` or a name in
//! scope, through modules, renames and re-exports, to the module in which the item stands. What
//! ends outside this crate keeps its whole path.

use super::reader::{Mention, Module, Name, Parsed};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The names of the modules from the root of the crate to one of them; the root itself is empty.
pub(crate) type ModulePath = Vec<String>;

/// The files of `src/`, by their path below it, as they were read.
pub(crate) type Files = BTreeMap<String, Rc<Parsed>>;

/// All modules of the library but those of unit tests.
pub(crate) struct Tree<'a> {
    modules: BTreeMap<&'a ModulePath, &'a Module>,
    /// Every path that stands in the code, followed.
    pub(crate) links: Vec<Link<'a>>,
    /// The files that hold them.
    pub(crate) files: BTreeMap<&'a str, &'a Parsed>,
    /// The files that no module declares.
    pub(crate) unread: Vec<&'a str>,
}

/// A path that stands in a module, and where it leads. More than one way, if a name means several
/// things there.
pub(crate) struct Link<'a> {
    pub(crate) from: &'a ModulePath,
    pub(crate) module: &'a Module,
    pub(crate) mention: &'a Mention,
    pub(crate) ways: BTreeSet<Way>,
}

impl Link<'_> {
    /// The file and the line.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.module.file, self.mention.line)
    }
}

/// What a path leads to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Target {
    /// A module of this crate, or an item in it.
    Here {
        module: ModulePath,
        item: Option<String>,
    },
    /// Something of another crate, with its whole path; or what is no path at all, as a local
    /// variable.
    Elsewhere(Vec<String>),
}

/// A name that users can write.
pub(crate) struct Export {
    /// All of it, without the crate's own.
    pub(crate) path: ModulePath,
    /// The module that gives it.
    pub(crate) from: ModulePath,
    pub(crate) target: Target,
}

/// Where a path leads, and the modules whose names it used on the way, other than those that are in
/// scope.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Way {
    pub(crate) target: Target,
    pub(crate) through: Vec<ModulePath>,
}

impl<'a> Tree<'a> {
    /// Follows the `mod` declarations from `lib.rs`, which is how the compiler finds files.
    pub(crate) fn new(files: &'a Files) -> Self {
        Self::reading(files, |_| true)
    }

    /// The same, of which only some files are read for the paths in them.
    pub(crate) fn reading(files: &'a Files, reads: impl Fn(&str) -> bool) -> Self {
        let mut tree = Self {
            modules: BTreeMap::new(),
            links: Vec::new(),
            files: BTreeMap::new(),
            unread: Vec::new(),
        };
        let mut tests = BTreeSet::new();
        let mut waiting = vec![("lib.rs", false)];
        while let Some((name, is_test)) = waiting.pop() {
            let (name, parsed) = files
                .get_key_value(name)
                .unwrap_or_else(|| panic!("{name} is declared, and is not there"));
            let is_test = is_test || parsed.is_test;
            if is_test {
                tests.insert(name.as_str());
            } else {
                tree.files.insert(name, parsed);
                tree.modules
                    .extend(parsed.modules.iter().map(|(path, module)| (path, module)));
            }
            for declared in &parsed.declared {
                let found = declared
                    .files
                    .iter()
                    .find_map(|file| files.get_key_value(file));
                let (file, _) = found
                    .unwrap_or_else(|| panic!("{name}: none of {:?} is there", declared.files));
                waiting.push((file, is_test || declared.is_test));
            }
        }
        let known = |name: &str| tree.files.contains_key(name) || tests.contains(name);
        tree.unread = files
            .keys()
            .map(String::as_str)
            .filter(|name| !known(name))
            .collect();
        tree.links = tree.links(reads);
        tree
    }

    fn links(&self, reads: impl Fn(&str) -> bool) -> Vec<Link<'a>> {
        let mentions = |(from, module): (&'a ModulePath, &'a Module)| {
            let mentions = module.mentions.iter();
            mentions.map(move |mention| (from, module, mention))
        };
        self.modules()
            .filter(|(_, module)| reads(&module.file))
            .flat_map(mentions)
            .map(|(from, module, mention)| Link {
                from,
                module,
                mention,
                ways: self.follow(from, &mention.path),
            })
            .collect()
    }

    /// Every module with its path, in order.
    pub(crate) fn modules(&self) -> impl Iterator<Item = (&'a ModulePath, &'a Module)> {
        self.modules.iter().map(|(path, module)| (*path, *module))
    }

    /// The file that holds a module.
    pub(crate) fn file_of(&self, module: &ModulePath) -> &'a str {
        &self.modules[module].file
    }

    /// Where a path that stands in `from` leads.
    pub(crate) fn follow(&self, from: &ModulePath, path: &[String]) -> BTreeSet<Way> {
        let mut ways = BTreeSet::new();
        self.start(from, path, &mut Steps::default(), &mut ways);
        ways
    }

    /// What a user of the crate can name: items, by module and name.
    pub(crate) fn surface(&self) -> BTreeSet<(ModulePath, String)> {
        let item = |export: Export| match export.target {
            Target::Here { module, item } => Some((module, item?)),
            Target::Elsewhere(_) => None,
        };
        self.exports(|_, _| true)
            .into_iter()
            .filter_map(item)
            .collect()
    }

    /// The same, by the paths that users write. What `enters` says of a name in a module is whether
    /// it counts.
    pub(crate) fn exports(&self, enters: impl Fn(&ModulePath, &str) -> bool) -> Vec<Export> {
        let mut exports = Vec::new();
        let mut waiting = vec![(Vec::new(), ModulePath::new())];
        while let Some((path, module)) = waiting.pop() {
            let names = self.modules[&module].public.iter();
            for name in names.filter(|name| enters(&module, name)) {
                let inside = ["self".to_owned(), name.clone()];
                let path = [&path[..], std::slice::from_ref(name)].concat();
                for way in self.follow(&module, &inside) {
                    // No module is given on under the name of another, so this ends.
                    if let Target::Here { module, item: None } = &way.target {
                        waiting.push((path.clone(), module.clone()));
                    }
                    exports.push(Export {
                        path: path.clone(),
                        from: module.clone(),
                        target: way.target,
                    });
                }
            }
        }
        exports
    }

    /// Begins a path: with a keyword, or with a name in scope.
    fn start(
        &self,
        from: &ModulePath,
        path: &[String],
        steps: &mut Steps,
        ways: &mut BTreeSet<Way>,
    ) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let before = std::mem::replace(&mut steps.from, from.clone());
        match first.as_str() {
            "crate" => self.walk(Vec::new(), rest, steps, ways),
            "self" => self.walk(from.clone(), rest, steps, ways),
            "super" => {
                let mut module = from.clone();
                module.pop();
                self.walk(module, rest, steps, ways);
            }
            // What belongs to the type of an `impl` stands where that type is named.
            "Self" => {}
            // `::name` begins outside.
            "" => steps.end(Target::Elsewhere(rest.to_vec()), ways),
            name => {
                if !self.look_up(from, name, rest, steps, ways) {
                    steps.end(Target::Elsewhere(path.to_vec()), ways);
                }
            }
        }
        steps.from = before;
    }

    /// Goes on inside `module`.
    fn walk(
        &self,
        module: ModulePath,
        path: &[String],
        steps: &mut Steps,
        ways: &mut BTreeSet<Way>,
    ) {
        match path.split_first() {
            None => steps.end(Target::Here { module, item: None }, ways),
            Some((first, rest)) if first == "self" => self.walk(module, rest, steps, ways),
            Some((first, rest)) if first == "super" => {
                let mut module = module;
                module.pop();
                self.walk(module, rest, steps, ways);
            }
            Some((name, rest)) => {
                if !self.look_up(&module, name, rest, steps, ways) {
                    let item = Some(name.clone());
                    steps.end(Target::Here { module, item }, ways);
                }
            }
        }
    }

    /// Follows one name of `module`; whether it has that name.
    fn look_up(
        &self,
        module: &ModulePath,
        name: &str,
        rest: &[String],
        steps: &mut Steps,
        ways: &mut BTreeSet<Way>,
    ) -> bool {
        let Some(found) = self.modules.get(module) else {
            return false;
        };
        let key = (module.clone(), name.to_owned());
        if !steps.seen.insert(key.clone()) {
            return true;
        }
        let names = found.names.get(name).map_or(&[][..], Vec::as_slice);
        let fits = |meaning: &&Name| match meaning {
            Name::Value => rest.is_empty(),
            Name::Import(_) => steps.from.starts_with(module),
            _ => true,
        };
        let names: Vec<_> = names.iter().filter(fits).collect();
        // `use name::item as name` means another `name`: a module that stands here, or something
        // outside.
        let itself = |path: &[String]| path.first().is_some_and(|first| first == name);
        let is_module = names.contains(&&Name::Module);
        for meaning in &names {
            match meaning {
                Name::Item | Name::Value => {
                    let item = Some(name.to_owned());
                    let module = module.clone();
                    steps.end(Target::Here { module, item }, ways);
                }
                Name::Module => {
                    let child = [&module[..], &[name.to_owned()]].concat();
                    self.walk(child, rest, steps, ways);
                }
                Name::Alias(path) | Name::Import(path) => {
                    let before = steps.through.len();
                    if steps.from != *module {
                        steps.through.push(module.clone());
                    }
                    let whole = [&path[..], rest].concat();
                    if !itself(path) {
                        self.start(module, &whole, steps, ways);
                    } else if is_module {
                        let child = [&module[..], &[name.to_owned()]].concat();
                        self.walk(child, &whole[1..], steps, ways);
                    } else {
                        steps.end(Target::Elsewhere(whole), ways);
                    }
                    steps.through.truncate(before);
                }
            }
        }
        let mut known = !names.is_empty();
        if !known {
            for glob in &found.globs {
                for way in self.follow_module(module, glob, steps) {
                    known |= self.look_up(&way, name, rest, steps, ways);
                }
            }
        }
        steps.seen.remove(&key);
        known
    }

    /// The modules of this crate that the path of a glob import leads to.
    fn follow_module(&self, from: &ModulePath, path: &[String], steps: &Steps) -> Vec<ModulePath> {
        let mut ways = BTreeSet::new();
        let mut inner = Steps {
            seen: steps.seen.clone(),
            ..Steps::default()
        };
        self.start(from, path, &mut inner, &mut ways);
        let module = |way: Way| match way.target {
            Target::Here { module, item: None } => Some(module),
            _ => None,
        };
        ways.into_iter().filter_map(module).collect()
    }
}

/// What happened on the way.
#[derive(Default)]
struct Steps {
    through: Vec<ModulePath>,
    /// Where the path stands that is being followed.
    from: ModulePath,
    /// The names that are being followed, so that a circle of aliases ends.
    seen: BTreeSet<(ModulePath, String)>,
}

impl Steps {
    fn end(&self, target: Target, ways: &mut BTreeSet<Way>) {
        let through = self.through.clone();
        ways.insert(Way { target, through });
    }
}
