//! `docs/settings.md`: every setting has a row, and in it a test that fails if it is ignored.
//!
//! A setting is a public function that takes a value and gives it back (`mtu` of a policy, what the
//! two builders share by a macro), one that is called `set_…`, or a field of `Conformance`.

use crate::common::sources;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};
use syn::{Attribute, FnArg, ImplItem, Item, ReturnType, Type, Visibility};

/// Types with such functions that hold no settings: facts about a path, and the two sides.
const NO_SETTINGS: &[&str] = &["Path", "Side"];

/// The struct whose public fields are settings.
const FIELDS: &str = "Conformance";

/// A type and the name of a setting.
type Setting = (String, String);

/// What the sources of the library have.
#[derive(Default)]
struct Found {
    settings: BTreeSet<Setting>,
    /// What a macro writes into the types that call it.
    macros: BTreeMap<String, BTreeSet<String>>,
    /// Which types call which macro.
    calls: Vec<(String, String)>,
}

impl Found {
    fn read(&mut self, text: &str) {
        let file = syn::parse_file(text).unwrap();
        file.items.iter().for_each(|item| self.item(item));
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Impl(item) if item.trait_.is_none() && !is_for_tests(&item.attrs) => {
                let Type::Path(of) = &*item.self_ty else {
                    return;
                };
                let of = of.path.segments.last().unwrap().ident.to_string();
                for item in &item.items {
                    match item {
                        ImplItem::Fn(function) if sets(function) => {
                            let name = function.sig.ident.to_string();
                            self.settings.insert((of.clone(), name));
                        }
                        ImplItem::Macro(call) => {
                            let name = call.mac.path.segments.last().unwrap();
                            self.calls.push((of.clone(), name.ident.to_string()));
                        }
                        _ => {}
                    }
                }
            }
            Item::Macro(item) => {
                if let Some(name) = &item.ident {
                    let written = written_by(&item.mac.tokens);
                    self.macros.insert(name.to_string(), written);
                }
            }
            Item::Struct(item) if item.ident == FIELDS => {
                let public = |field: &&syn::Field| matches!(field.vis, Visibility::Public(_));
                for field in item.fields.iter().filter(public) {
                    let name = field.ident.as_ref().unwrap().to_string();
                    self.settings.insert((FIELDS.to_owned(), name));
                }
            }
            Item::Mod(item) if !is_for_tests(&item.attrs) => {
                let inner = item.content.iter().flat_map(|(_, items)| items);
                inner.for_each(|item| self.item(item));
            }
            _ => {}
        }
    }

    /// All settings, those too that a macro writes.
    fn all(&self) -> BTreeSet<Setting> {
        let mut all = self.settings.clone();
        for (of, called) in &self.calls {
            let written = self.macros.get(called).into_iter().flatten();
            all.extend(written.map(|name| (of.clone(), name.clone())));
        }
        all.retain(|(of, _)| !NO_SETTINGS.contains(&of.as_str()));
        all
    }
}

/// Whether a function is a setting.
fn sets(function: &syn::ImplItemFn) -> bool {
    let signature = &function.sig;
    let Some(FnArg::Receiver(receiver)) = signature.inputs.first() else {
        return false;
    };
    let is_public = matches!(function.vis, Visibility::Public(_));
    let by_value = receiver.reference.is_none();
    let named = signature.ident.to_string().starts_with("set_");
    // What is hidden leads to the fields of `Conformance`.
    let hidden = function.attrs.iter().any(is_hidden);
    is_public && !hidden && (named || by_value && gives_self_back(&signature.output))
}

fn is_hidden(attribute: &Attribute) -> bool {
    let argument = attribute.parse_args::<syn::Path>();
    attribute.path().is_ident("doc") && argument.is_ok_and(|it| it.is_ident("hidden"))
}

/// `Self`, or a `Result` of it.
fn gives_self_back(output: &ReturnType) -> bool {
    let ReturnType::Type(_, output) = output else {
        return false;
    };
    let Type::Path(output) = &**output else {
        return false;
    };
    let last = output.path.segments.last().unwrap();
    let syn::PathArguments::AngleBracketed(inner) = &last.arguments else {
        return last.ident == "Self";
    };
    last.ident == "Result"
        && matches!(
            inner.args.first(),
            Some(syn::GenericArgument::Type(Type::Path(inner))) if inner.path.is_ident("Self")
        )
}

/// The settings among the functions that a `macro_rules!` without parameters writes.
fn written_by(tokens: &TokenStream) -> BTreeSet<String> {
    let body = tokens.clone().into_iter().filter_map(|token| match token {
        TokenTree::Group(group) => Some(group.stream().to_string()),
        _ => None,
    });
    // What it is given, and what it writes.
    let body = body.last().unwrap_or_default();
    let body = body.replace("$ crate", "crate").replace("$crate", "crate");
    let Ok(item) = syn::parse_str::<syn::ItemImpl>(&format!("impl Caller {{ {body} }}")) else {
        return BTreeSet::new();
    };
    let functions = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) if sets(function) => Some(function.sig.ident.to_string()),
        _ => None,
    });
    functions.collect()
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute.parse_args::<syn::Path>();
        attribute.path().is_ident("cfg") && condition.is_ok_and(|it| it.is_ident("test"))
    })
}

/// A row of a table: the setting, and the test of it.
#[derive(Debug)]
struct Row {
    of: Vec<String>,
    name: String,
    file: String,
    tests: Vec<String>,
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The rows of the document. The heading above a table names the types whose settings these are.
fn rows(text: &str) -> Vec<Row> {
    let mut of = Vec::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            of = quoted(line).collect();
        } else if line.starts_with("| `") {
            let mut quoted = quoted(line);
            rows.push(Row {
                of: of.clone(),
                name: quoted.next().unwrap(),
                file: quoted.next().unwrap_or_default(),
                tests: quoted.collect(),
            });
        }
    }
    rows
}

/// The names of the functions that are marked `#[test]`.
#[derive(Default)]
struct Tests(BTreeSet<String>);

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let mut attributes = function.attrs.iter();
        if attributes.any(|attribute| attribute.path().is_ident("test")) {
            self.0.insert(function.sig.ident.to_string());
        }
        visit::visit_item_fn(self, function);
    }
}

/// What is wrong with the rows, a line each. `read` gives a file, if there is one.
fn faults(
    settings: &BTreeSet<Setting>,
    rows: &[Row],
    read: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let pairs = |row: &Row| -> Vec<Setting> {
        let types = row.of.iter();
        types.map(|of| (of.clone(), row.name.clone())).collect()
    };
    let told: Vec<Setting> = rows.iter().flat_map(pairs).collect();
    let has_row = |it: &&Setting| told.contains(*it);
    let untold = settings.iter().filter(|it| !has_row(it));
    let mut faults: Vec<_> = untold
        .map(|(of, name)| format!("{of}::{name} has no row"))
        .collect();
    for row in rows {
        let Row { name, file, .. } = row;
        for (of, name) in pairs(row) {
            if !settings.contains(&(of.clone(), name.clone())) {
                faults.push(format!("{of}::{name} is no setting"));
            }
        }
        let Some(text) = read(file) else {
            faults.push(format!("{name}: there is no file {file}"));
            continue;
        };
        let mut tests = Tests::default();
        tests.visit_file(&syn::parse_file(&text).unwrap());
        let gone = row.tests.iter().filter(|it| !tests.0.contains(*it));
        faults.extend(gone.map(|test| format!("{name}: {file} has no test {test}")));
        // A call, a field that is given a value, or a helper of all tests that does either.
        let mentions = [format!(".{name}("), format!("{name}:")];
        let set = |text: &str| mentions.iter().any(|mention| text.contains(mention));
        if row.tests.is_empty() || !set(&text) {
            faults.push(format!("{name}: nothing in {file} sets it"));
        }
    }
    faults
}

fn text_of(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    path.is_file().then(|| fs::read_to_string(path).unwrap())
}

#[test]
fn every_setting_has_a_test_that_is_named() {
    let mut found = Found::default();
    let sim = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sim");
    for path in sources::below("src") {
        if !path.starts_with(&sim) {
            found.read(&fs::read_to_string(path).unwrap());
        }
    }
    let settings = found.all();
    assert!(settings.len() > 90, "the settings were not found");
    let faults = faults(
        &settings,
        &rows(&text_of("docs/settings.md").unwrap()),
        text_of,
    );
    assert!(faults.is_empty(), "docs/settings.md: {faults:#?}");
}

/// What only a judge chooses is compiled with a feature, so a program of its own must run it.
#[test]
fn the_choices_of_a_judge_are_run_with_their_feature() {
    let run = text_of(".ci/run").unwrap();
    let (_, step) = run.split_once("step \"choices of a judge\"\n").unwrap();
    let (step, _) = step.split_once("\n\n").unwrap();
    assert!(step.starts_with("cargo test --features conformance "));
    let words = [
        "judged!(",
        "CHOICES",
        "REFUSALS",
        "feature = \"conformance\"",
    ];
    for path in sources::below("tests") {
        let text = fs::read_to_string(&path).unwrap();
        let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (program, module) = (name(path.parent().unwrap()), name(&path));
        let chooses = words.iter().any(|word| text.contains(word));
        if chooses && !["common", "house"].contains(&program.as_str()) {
            assert!(step.contains(&format!("--test {program} ")), "{program}");
            assert!(step.contains(&format!(" {module}::")), "{module}");
        }
    }
}

#[test]
fn a_setting_without_a_row_and_a_row_without_a_test_are_found() {
    let mut found = Found::default();
    found.read(
        "impl Policy {
             pub fn mtu(mut self, bytes: usize) -> Result<Self, ConfigError> { todo!() }
             pub fn jitter(mut self) -> Self { self }
             pub(crate) fn inner(self) -> Self { self }
             pub fn build(self) -> Result<Config, ConfigError> { todo!() }
             pub fn mtu_of(&self) -> usize { 0 }
             #[doc(hidden)] pub fn conformance(self) -> Self { self }
             pub fn set_waker(&mut self, waker: Waker) {}
         }
         macro_rules! shared {
             () => { #[doc = \"It.\"] pub fn alpn(self, it: $crate::It) -> Self { self } };
         }
         impl Client { shared!(); }
         impl Server { shared!(); }
         pub struct Conformance { pub grease: bool, hidden: bool }
         #[cfg(test)] mod tests { impl X { pub fn set_x(&mut self) {} } }
         impl Path { pub fn with_ecn(self) -> Self { self } }",
    );
    let names = |settings: &BTreeSet<Setting>| -> Vec<String> {
        let names = settings.iter().map(|(of, name)| format!("{of}::{name}"));
        names.collect()
    };
    let settings = found.all();
    assert_eq!(
        names(&settings),
        [
            "Client::alpn",
            "Conformance::grease",
            "Policy::jitter",
            "Policy::mtu",
            "Policy::set_waker",
            "Server::alpn",
        ]
    );
    let table = "## `Client` and `Server`\n\n| setting | test |\n|---|---|\n\
                 | `alpn` | `a.rs`: `a_name_is_agreed` |\n\
                 ## `Conformance`\n| `grease` | `a.rs`: `a_name_is_agreed` |\n\
                 ## `Policy`\n| `mtu` | `a.rs`: `no_test` |\n| `gone` | `b.rs`: `x` |\n\
                 | `jitter` | `a.rs` |\n";
    let file = "#[test] fn a_name_is_agreed() { x.alpn(1).mtu(2) } fn no_test() {}";
    let read = |name: &str| (name == "a.rs").then(|| file.to_owned());
    assert_eq!(
        faults(&settings, &rows(table), read),
        [
            "Policy::set_waker has no row",
            "grease: nothing in a.rs sets it",
            "mtu: a.rs has no test no_test",
            "Policy::gone is no setting",
            "gone: there is no file b.rs",
            "jitter: nothing in a.rs sets it",
        ]
    );
}
