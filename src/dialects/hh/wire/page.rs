//! The page at the end of a login: the exchange code with a button to copy it, or what went wrong. Russian and English.
//! No inline script or style without the page's nonce (Content Security Policy Level 3).

use crate::dialects::html::escaped;

/// What browsers may load and do on the page: only what carries its nonce. Published client code reads the code here and
/// trades it at once, so the page may ask its own origin.
const POLICY: &str = "default-src 'none'; script-src 'nonce-{{nonce}}'; style-src 'nonce-{{nonce}}'; \
                      img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PAGE: &str = include_str!("page.html");
const CODE: &str = "<label for=\"exchange-code\">{{label}}</label>\n<div class=\"row\">\n\
    <input id=\"exchange-code\" value=\"{{code}}\" readonly autocomplete=\"off\" spellcheck=\"false\">\n\
    <button id=\"copy\" type=\"button\">{{copy}}</button>\n</div>\n\
    <p class=\"told\" id=\"copied\" role=\"status\" data-text=\"{{copied}}\"></p>";
const AGAIN: &str = "<p><a href=\"login\">{{again}}</a></p>";
// The clipboard exists for secure pages only; elsewhere the old command does it.
const SCRIPT: &str = "<script nonce=\"{{nonce}}\">\n\
    const code = document.getElementById(\"exchange-code\");\n\
    const told = document.getElementById(\"copied\");\n\
    document.getElementById(\"copy\").addEventListener(\"click\", async () => {\n\
    \x20 code.select();\n\
    \x20 try { await navigator.clipboard.writeText(code.value); } catch { document.execCommand(\"copy\"); }\n\
    \x20 told.textContent = told.dataset.text;\n\
    });\n\
    </script>";

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English, unless something else is asked for.
    English,
    /// Russian.
    Russian,
}

/// A page with the policy it is to be sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// HTML in UTF-8.
    pub html: String,
    /// `Content-Security-Policy`.
    pub policy: String,
}

impl Language {
    /// The better one of both by `Accept-Language` (RFC 9110 section 12.5.4).
    pub fn asked(field: Option<&str>) -> Self {
        let weight = |language: &str| {
            let fits = |range: &str| {
                let primary = range.split('-').next().unwrap_or_default();
                primary.eq_ignore_ascii_case(language)
            };
            let ranges = field.unwrap_or_default().split(',');
            let weights = ranges.filter_map(|item| {
                let mut parts = item.split(';').map(str::trim);
                let range = parts.next().filter(|range| fits(range))?;
                let _ = range;
                let q = parts.find_map(|part| part.strip_prefix("q="));
                Some(q.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0)))
            });
            weights.fold(0.0_f32, f32::max)
        };
        if weight("ru") > weight("en") { Language::Russian } else { Language::English }
    }

    fn words(self) -> &'static Words {
        match self {
            Language::English => &ENGLISH,
            Language::Russian => &RUSSIAN,
        }
    }
}

impl Page {
    /// Shows an exchange code that is good for so many minutes.
    pub fn code(language: Language, code: &str, minutes: u64, nonce: &str) -> Self {
        let words = language.words();
        let text = words.text.replace("{{minutes}}", &minutes.max(1).to_string());
        let body = CODE
            .replace("{{label}}", words.label)
            .replace("{{copy}}", words.copy)
            .replace("{{copied}}", words.copied)
            .replace("{{code}}", &escaped(code));
        Self::of(language, words.title, &text, &body, SCRIPT, nonce)
    }

    /// Says that there is none, and why.
    pub fn refusal(language: Language, status: u16, detail: &str, nonce: &str) -> Self {
        let words = language.words();
        let why = match status {
            400 => words.expired,
            403 => words.not_allowed,
            429 => words.too_many,
            _ => words.trouble,
        };
        let text = format!("{why} <small>({})</small>", escaped(detail));
        Self::of(language, words.failed, &text, &AGAIN.replace("{{again}}", words.again), "", nonce)
    }

    fn of(
        language: Language,
        title: &str,
        text: &str,
        body: &str,
        script: &str,
        nonce: &str,
    ) -> Self {
        let html = PAGE
            .replace("{{lang}}", language.words().lang)
            .replace("{{title}}", title)
            .replace("{{text}}", text)
            .replace("{{script}}", script)
            .replace("{{nonce}}", nonce)
            // Last: what is shown is not looked through for more places.
            .replace("{{body}}", body);
        Self { html, policy: POLICY.replace("{{nonce}}", nonce) }
    }
}

struct Words {
    lang: &'static str,
    title: &'static str,
    text: &'static str,
    label: &'static str,
    copy: &'static str,
    copied: &'static str,
    failed: &'static str,
    expired: &'static str,
    not_allowed: &'static str,
    too_many: &'static str,
    trouble: &'static str,
    again: &'static str,
}

static ENGLISH: Words = Words {
    lang: "en",
    title: "You are logged in",
    text: "Copy this one-time code into the application that sent you here. \
           It works once, within {{minutes}} minutes.",
    label: "Exchange code",
    copy: "Copy",
    copied: "Copied.",
    failed: "The login did not work",
    expired: "The login was refused or took too long.",
    not_allowed: "Your account has no access to this service. Ask its administrator.",
    too_many: "Too many requests. Try again in a minute.",
    trouble: "The service cannot finish the login now. Try again later.",
    again: "Log in again",
};

static RUSSIAN: Words = Words {
    lang: "ru",
    title: "Вход выполнен",
    text: "Скопируйте одноразовый код в приложение, из которого вы пришли. \
           Код действует один раз в течение {{minutes}} минут.",
    label: "Код обмена",
    copy: "Скопировать",
    copied: "Скопировано.",
    failed: "Войти не удалось",
    expired: "Вход отклонён или занял слишком много времени.",
    not_allowed: "У вашей учётной записи нет доступа к этому сервису. Обратитесь к администратору.",
    too_many: "Слишком много запросов. Повторите через минуту.",
    trouble: "Сейчас войти не получается. Попробуйте позже.",
    again: "Войти снова",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_weighs_more() {
        for (field, expected) in [
            (None, Language::English),
            (Some("ru"), Language::Russian),
            (Some("ru-RU,ru;q=0.9,en-US;q=0.8"), Language::Russian),
            (Some("en-US,en;q=0.9,ru;q=0.8"), Language::English),
            (Some("de, ru;q=0.5"), Language::Russian),
            (Some("de"), Language::English),
            (Some("ru;q=0"), Language::English),
            (Some("ru;q=x"), Language::English),
            (Some("rue"), Language::English),
        ] {
            assert_eq!(Language::asked(field), expected, "{field:?}");
        }
    }

    #[test]
    fn nothing_is_inline_without_the_nonce() {
        for page in [
            Page::code(Language::Russian, "abc", 5, "N0NCE"),
            Page::refusal(Language::English, 403, "no <b>", "N0NCE"),
        ] {
            let open = |tag: &str| page.html.matches(tag).count();
            assert_eq!(open("<script"), open("<script nonce=\"N0NCE\""));
            assert_eq!(open("<style"), open("<style nonce=\"N0NCE\""));
            assert!(!page.html.contains(" style=") && !page.html.contains(" onclick="));
            assert!(!page.html.contains("{{") && !page.policy.contains("{{"), "{}", page.html);
            assert!(page.policy.contains("'nonce-N0NCE'") && !page.policy.contains("unsafe"));
        }
    }

    #[test]
    fn the_code_stands_in_an_input_and_a_refusal_is_escaped() {
        let page = Page::code(Language::English, "a-b_c", 5, "n").html;
        assert!(page.contains("<input id=\"exchange-code\" value=\"a-b_c\" readonly"), "{page}");
        assert!(page.contains("5 minutes"));
        let page = Page::refusal(Language::English, 403, "<b>\"'&", "n").html;
        assert!(page.contains("(&lt;b&gt;&quot;&#39;&amp;)"), "{page}");
        assert!(!page.contains("exchange-code"));
    }
}
