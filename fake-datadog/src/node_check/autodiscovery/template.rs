//! Template variables of autodiscovery: `%%host%%` and `%%port%%` in a text.

/// What the variables stand for, for one container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variables<'a> {
    /// `%%host%%`: the address of the pod.
    pub(crate) host: &'a str,
    /// `%%port%%`: a port that the container declares, if it declares any.
    pub(crate) port: Option<i32>,
}

/// A template cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `%%` that nothing ends.
    #[error("a %% without a second one; a variable is written %%host%%")]
    Unbalanced,
    /// A variable that does not exist, or that only the real agent knows.
    #[error("unknown variable %%{0}%%; known are %%host%% and %%port%%")]
    Unknown(String),
    /// `%%port%%` in a container without ports.
    #[error("%%port%% needs a port in the container's spec, which has none")]
    NoPort,
}

impl Variables<'_> {
    /// The template with its variables replaced.
    pub(crate) fn fill_in(&self, template: &str) -> Result<String, TemplateError> {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("%%") {
            let (name, after) = after.split_once("%%").ok_or(TemplateError::Unbalanced)?;
            filled.push_str(before);
            filled.push_str(&self.value(name)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str) -> Result<String, TemplateError> {
        match name {
            // An IPv6 address stands in brackets in a URL.
            "host" if self.host.contains(':') => Ok(format!("[{}]", self.host)),
            "host" => Ok(self.host.to_owned()),
            "port" => self.port.map(|port| port.to_string()).ok_or(TemplateError::NoPort),
            _ => Err(TemplateError::Unknown(name.to_owned())),
        }
    }
}
