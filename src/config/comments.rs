//! `//` comments inside `{…}` and `[…]`, as INT-004 prints them in its subscription document.
//!
//! YAML knows only `#`. Outside of braces and brackets nothing is touched, and inside only what
//! follows blank space and stands in no quotes, so that a URL stays what it is.

/// `text` with those comments blanked out; lines and columns stay.
pub(super) fn without_comments(text: &str) -> String {
    let mut scan = Scan::default();
    text.lines().map(|line| scan.line(line) + "\n").collect()
}

#[derive(Default)]
struct Scan {
    depth: usize,
    quote: Option<char>,
}

impl Scan {
    fn line(&mut self, line: &str) -> String {
        let mut kept = String::with_capacity(line.len());
        let mut letters = line.chars().peekable();
        let mut before = ' ';
        while let Some(letter) = letters.next() {
            let begins = before.is_whitespace();
            if let Some(quote) = self.quote {
                kept.push(letter);
                match letter {
                    '\\' if quote == '"' => kept.extend(letters.next()),
                    _ if letter == quote => self.quote = None,
                    _ => {}
                }
            } else if letter == '#' && begins {
                // A comment of YAML's own: its quotes and braces mean nothing.
                kept.push(letter);
                kept.extend(letters.by_ref());
            } else if self.depth > 0 && begins && letter == '/' && letters.peek() == Some(&'/') {
                return kept;
            } else {
                self.count(letter, begins);
                kept.push(letter);
            }
            before = letter;
        }
        kept
    }

    /// At the top a brace opens a collection only where a value begins: `${NAME}` does not.
    fn count(&mut self, letter: char, begins: bool) {
        match letter {
            '{' | '[' if begins || self.depth > 0 => self.depth += 1,
            '}' | ']' => self.depth = self.depth.saturating_sub(1),
            '"' | '\'' if begins || self.depth > 0 && letter == '"' => self.quote = Some(letter),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_of_json_goes_and_a_url_stays() {
        let text = "a: {\n  \"b\": [\"*\"],   // all\n  \"u\": \"https://x // y\"\n}\nc: d // e\n";
        let kept = "a: {\n  \"b\": [\"*\"],   \n  \"u\": \"https://x // y\"\n}\nc: d // e\n";
        assert_eq!(without_comments(text), kept);
    }

    #[test]
    fn an_apostrophe_a_variable_and_a_yaml_comment_open_nothing() {
        let text = "a: don't ${X} # it's { // here\nb: x // y\nc: ${Y:-{} // z\n";
        assert_eq!(without_comments(text), text);
    }
}
