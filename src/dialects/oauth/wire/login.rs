//! The page that asks for name and password. No script, and no style without the page's nonce.

use crate::{dialects::html::escaped, identity::IdentityError};

const POLICY: &str = "default-src 'none'; style-src 'nonce-{{nonce}}'; img-src data:; base-uri 'none'; \
                      form-action 'self' {{origin}}; frame-ancestors 'none'";
const PAGE: &str = include_str!("page.html");
const FORM: &str = include_str!("form.html");

/// A page with the policy it is to be sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPage {
    /// HTML in UTF-8.
    pub html: String,
    /// `Content-Security-Policy`.
    pub policy: String,
}

impl LoginPage {
    /// Asks. `wrong`: what was wrong with the try before.
    pub fn form(
        client: &str,
        redirect_uri: &str,
        request: &str,
        proof: &str,
        wrong: Option<&str>,
        nonce: &str,
    ) -> Self {
        let wrong =
            wrong.map(|text| format!("<p class=\"wrong\" role=\"alert\">{}</p>", escaped(text)));
        let form = FORM
            .replace("{{wrong}}", &wrong.unwrap_or_default())
            .replace("{{proof}}", &escaped(proof))
            // Last: what others wrote is not looked through for more places.
            .replace("{{request}}", &escaped(request));
        let text = format!("<strong>{}</strong> wants to act for you.", escaped(client));
        Self::of("Log in", &text, &form, &origin(redirect_uri), nonce)
    }

    /// Says that there is nobody to go back to.
    pub fn refused(nonce: &str) -> Self {
        let text = "The application that sent you here is not registered with this address. \
                    Its operator must look at it.";
        Self::of("This login cannot begin", text, "", "", nonce)
    }

    /// Says something, in HTML that the caller has made safe.
    pub fn told(title: &str, text: &str, nonce: &str) -> Self {
        Self::of(title, text, "", "", nonce)
    }

    fn of(title: &str, text: &str, body: &str, origin: &str, nonce: &str) -> Self {
        let html = PAGE
            .replace("{{title}}", title)
            .replace("{{nonce}}", nonce)
            .replace("{{text}}", text)
            .replace("{{body}}", body);
        let policy = POLICY.replace("{{nonce}}", nonce).replace("{{origin}}", origin);
        Self { html, policy }
    }
}

/// What is said of a login that did not work, where the person can try again.
pub fn wrong_login(error: &IdentityError) -> Option<&'static str> {
    match error {
        IdentityError::InvalidCredentials => Some("Name or password is wrong."),
        IdentityError::Locked { .. } | IdentityError::Throttled(_) => {
            Some("Too many failed tries. Wait, and try again.")
        }
        IdentityError::SecondFactor { wrong: false } => {
            Some("This account needs the code of its app as well.")
        }
        IdentityError::SecondFactor { wrong: true } => {
            Some("The code is wrong, or was used before.")
        }
        IdentityError::Disabled => Some("This account is disabled."),
        IdentityError::NotVerified => Some("The address of this account is not proven yet."),
        _ => None,
    }
}

/// Browsers hold the policy against the redirect behind a form as well.
fn origin(redirect_uri: &str) -> String {
    let found = url::Url::parse(redirect_uri).map(|url| url.origin().ascii_serialization());
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_and_the_policy_lets_nothing_in() {
        let page = LoginPage::form(
            "<b>{{request}}</b>",
            "https://app.example:8443/cb?x=1",
            "a=\"><script>&{{proof}}",
            "p",
            Some("<i>"),
            "N0NCE",
        );
        assert!(!page.html.contains("<b>") && !page.html.contains("<script"), "{}", page.html);
        assert!(page.html.contains("&lt;i&gt;"));
        assert_eq!(
            page.html.matches("<style").count(),
            page.html.matches("<style nonce=\"N0NCE\"").count()
        );
        assert!(!page.html.contains(" style=") && !page.html.contains(" onclick="));
        assert!(!page.policy.contains("unsafe") && !page.policy.contains("script-src"));
        assert!(
            page.policy.contains("form-action 'self' https://app.example:8443;"),
            "{}",
            page.policy
        );
    }
}
