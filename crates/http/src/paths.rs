//! The paths that there are, and which of them a request means.

use std::collections::HashMap;

use actix_web::http::Method;

/// A path as the document has it: `/v1/admin/users/{id}`.
struct Template {
    text: String,
    methods: Vec<Method>,
}

impl Template {
    fn is_exact(&self) -> bool {
        !self.text.contains('{')
    }

    fn fits(&self, path: &str) -> bool {
        let (mut parts, mut asked) = (self.text.split('/'), path.split('/'));
        loop {
            match (parts.next(), asked.next()) {
                (None, None) => return true,
                (Some(part), Some(asked))
                    if part == asked || (part.starts_with('{') && !asked.is_empty()) => {}
                _ => return false,
            }
        }
    }
}

/// Every path with its methods.
pub(crate) struct Paths {
    templates: Vec<Template>,
    /// Those without a gap, by their text.
    exact: HashMap<String, usize>,
}

/// The template that a request's path fits: there are as many as there are routes, whatever is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route(usize);

impl Paths {
    pub(crate) fn new(paths: Vec<(String, Vec<Method>)>) -> Self {
        let templates: Vec<_> = paths.into_iter().map(|(text, methods)| Template { text, methods }).collect();
        let exact = templates.iter().enumerate().filter(|(_, template)| template.is_exact());
        let exact = exact.map(|(place, template)| (template.text.clone(), place)).collect();
        Self { templates, exact }
    }

    pub(crate) fn find(&self, path: &str) -> Option<Route> {
        let gaps = || self.templates.iter().position(|template| !template.is_exact() && template.fits(path));
        self.exact.get(path).copied().or_else(gaps).map(Route)
    }

    /// The methods that a path takes; `None` if there is no such path.
    pub(crate) fn methods(&self, path: &str) -> Option<&[Method]> {
        let Route(place) = self.find(path)?;
        self.templates.get(place).map(|template| template.methods.as_slice())
    }

    pub(crate) fn text(&self, route: Route) -> Option<&str> {
        self.templates.get(route.0).map(|template| template.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_the_template_that_it_fits() {
        let templates = ["/v1/me", "/v1/users/{id}", "/v1/users/{id}/notes", "/v1/users/all"];
        let paths = Paths::new(templates.map(|text| (text.to_owned(), vec![Method::GET])).into());
        for (asked, template) in [
            ("/v1/me", Some("/v1/me")),
            ("/v1/users/u1", Some("/v1/users/{id}")),
            ("/v1/users/all", Some("/v1/users/all")),
            ("/v1/users/u1/notes", Some("/v1/users/{id}/notes")),
            ("/v1/users/", None),
            ("/v1/users//notes", None),
            ("/v1/users/u1/", None),
            ("/v1/me/", None),
            ("/v1", None),
            ("", None),
        ] {
            assert_eq!(paths.find(asked).and_then(|route| paths.text(route)), template, "{asked}");
            assert_eq!(paths.methods(asked).is_some(), template.is_some(), "{asked}");
        }
    }
}
