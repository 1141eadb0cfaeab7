//! Reads a questionnaire from TOML; errors name the line.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::base::Bilingual;
use crate::ivr::catalog::Lines;
use crate::ivr::questionnaire::{
    ChoiceKeys, Condition, HelpStep, Kind, MessageStep, Need, NumberFormat, Question,
    Questionnaire, Test, Unit,
};
use crate::ivr::{Answer, Catalog, Script};

/// A file that is no valid questionnaire, with everything that is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid questionnaire: {}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidQuestionnaire(pub Vec<Fault>);

/// One fault of a questionnaire.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {}", .problem.en)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub problem: Bilingual,
}

/// Reads a questionnaire. Every prompt that it names must be in `catalog`, and have a blank where
/// a value is read back.
///
/// # Errors
///
/// All faults together, in the order of their lines.
pub fn questionnaire(toml: &str, catalog: &Catalog) -> Result<Questionnaire, InvalidQuestionnaire> {
    let mut reader = Reader { toml, catalog, faults: Vec::new(), codes: Vec::new() };
    let (document, errors) = DeTable::parse_recoverable(toml);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        let message = error.message();
        reader.fault(reader.line(offset), format!("書き方が正しくありません: {message}"), message);
    }
    // A half-read file would only yield faults that are none.
    let questionnaire = reader.faults.is_empty().then(|| reader.document(document.get_ref()));
    reader.faults.sort_by_key(|fault| fault.line);
    match questionnaire.flatten() {
        Some(questionnaire) if reader.faults.is_empty() => Ok(questionnaire),
        _ => Err(InvalidQuestionnaire(reader.faults)),
    }
}

struct Reader<'a> {
    toml: &'a str,
    catalog: &'a Catalog,
    faults: Vec<Fault>,
    /// The codes so far, also of questions that have faults.
    codes: Vec<String>,
}

/// The keys of one table that nobody has asked for yet.
struct Fields<'a> {
    line: usize,
    fields: BTreeMap<&'a str, Field<'a>>,
}

#[derive(Clone, Copy)]
struct Field<'a> {
    line: usize,
    value: &'a DeValue<'a>,
}

impl Fields<'_> {
    /// Where the key stands, or the table if it is missing.
    fn line_of(&self, key: &str) -> usize {
        self.fields.get(key).map_or(self.line, |field| field.line)
    }
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        Lines(self.toml).at(offset)
    }

    fn fault(&mut self, line: usize, ja: impl Into<String>, en: impl Into<String>) {
        let problem = Bilingual::composed(ja.into(), en.into());
        self.faults.push(Fault { line, problem });
    }

    fn fields<'t>(&self, line: usize, table: &'t DeTable<'t>) -> Fields<'t> {
        let fields = table.iter().map(|(key, value)| {
            let field = Field { line: self.line(key.span().start), value: value.get_ref() };
            (key.get_ref().as_ref(), field)
        });
        Fields { line, fields: fields.collect() }
    }

    fn document(&mut self, table: &DeTable<'_>) -> Option<Questionnaire> {
        let mut fields = self.fields(1, table);
        let id = self.text(&mut fields, "id");
        let line = fields.line_of("version");
        let version = self.integer(&mut fields, "version").map(u32::try_from);
        if version.is_some_and(|version| version.is_err()) {
            self.fault(line, "version は負の数にできません", "`version` must not be negative");
        }
        let mut questions: Vec<Question> = Vec::new();
        match fields.fields.remove("question") {
            Some(Field { value: DeValue::Array(tables), .. }) if !tables.is_empty() => {
                for table in tables {
                    let line = self.line(table.span().start);
                    let Some(table) = table.get_ref().as_table() else {
                        self.fault(
                            line,
                            "質問は [[question]] と書いてください",
                            "write each question as [[question]]",
                        );
                        continue;
                    };
                    let fields = self.fields(line, table);
                    questions.extend(self.question(fields, &questions));
                }
            }
            _ => self.fault(
                1,
                "[[question]] が一つ以上要ります",
                "at least one [[question]] is needed",
            ),
        }
        let help = self.table(&mut fields, "help");
        let help = help.and_then(|fields| self.help(fields, &questions));
        let message = self.table(&mut fields, "message");
        let message = message.and_then(|fields| self.message(fields));
        self.refuse_rest(fields);
        Some(Questionnaire { id: id?, version: version?.ok()?, questions, help, message })
    }

    /// A table that may be left out.
    fn table<'t>(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<Fields<'t>> {
        let field = fields.fields.remove(key)?;
        let Some(table) = field.value.as_table() else {
            self.fault(
                field.line,
                format!("{key} は [{key}] と書いてください"),
                format!("write `{key}` as [{key}]"),
            );
            return None;
        };
        Some(self.fields(field.line, table))
    }

    fn help(&mut self, mut fields: Fields<'_>, questions: &[Question]) -> Option<HelpStep> {
        let code = self.code(&mut fields);
        let line = fields.line_of("key");
        let key = self.integer(&mut fields, "key").and_then(|key| u8::try_from(key).ok());
        // 1 and 2 say whether it was meant.
        let key = key.filter(|key| matches!(key, 0 | 3..=8));
        if key.is_none() {
            self.fault(line, "key は 0 か 3〜8 にしてください", "`key` is 0, or 3 to 8");
        }
        let is_taken = |question: &&Question| match &question.kind {
            Kind::YesNo(keys) | Kind::Group { keys, .. } => {
                key.is_some_and(|key| keys.meaning(key).is_some())
            }
            Kind::Number(_) => false,
        };
        if let Some(question) = questions.iter().find(is_taken) {
            self.fault(
                line,
                format!("key は質問 {} の答えにも使われています", question.code),
                format!("`key` is also an answer to question `{}`", question.code),
            );
        }
        let [hint, confirm] = ["hint", "confirm"].map(|key| self.prompt(&mut fields, key, 0));
        self.refuse_rest(fields);
        Some(HelpStep { code: code?, key: key?, hint: hint?, confirm: confirm? })
    }

    fn message(&mut self, mut fields: Fields<'_>) -> Option<MessageStep> {
        let [offer, begin, unheard, signal, thanks] =
            ["offer", "begin", "unheard", "signal", "thanks"]
                .map(|key| self.prompt(&mut fields, key, 0));
        let line = fields.line_of("seconds");
        let seconds = self.integer(&mut fields, "seconds").and_then(|n| u64::try_from(n).ok());
        let seconds = seconds.filter(|seconds| (5..=60).contains(seconds));
        if seconds.is_none() {
            self.fault(
                line,
                "seconds は 5〜60 にしてください",
                "`seconds` must be between 5 and 60",
            );
        }
        self.refuse_rest(fields);
        Some(MessageStep {
            offer: offer?,
            begin: begin?,
            unheard: unheard?,
            signal: signal?,
            thanks: thanks?,
            longest: Duration::from_secs(seconds?),
        })
    }

    fn question(&mut self, mut fields: Fields<'_>, earlier: &[Question]) -> Option<Question> {
        let line = fields.line;
        let n_earlier = self.codes.len();
        let code = self.code(&mut fields);
        let kind = self.kind(&mut fields);
        let is_number = matches!(kind, Some(Kind::Number(_)));
        let ask = self.prompts(&mut fields, "ask");
        let again = self.prompts(&mut fields, "again");
        let short = self.prompts(&mut fields, "short");
        let confirm = fields
            .fields
            .contains_key("confirm")
            .then(|| self.prompt(&mut fields, "confirm", usize::from(is_number)))
            .flatten();
        let required = self.flag(&mut fields, "required");
        let urgent = self.flag(&mut fields, "urgent");
        let scripts = self.scripts(&mut fields);
        let needs = self.needs(&mut fields);
        let ask_when =
            self.conditions(&mut fields, "ask_when", earlier, n_earlier).unwrap_or_default();
        let ask_when_short = self.conditions(&mut fields, "ask_when_short", earlier, n_earlier);
        if ask_when_short.is_some() && !scripts.contains(&Script::Short) {
            self.fault(
                line,
                "この質問は short で聞かないので、ask_when_short は使われません",
                "`ask_when_short` has no use: the question is not in script `short`",
            );
        }
        self.refuse_rest(fields);
        Some(Question {
            code: code?,
            kind: kind?,
            ask,
            again,
            short,
            confirm,
            required,
            urgent,
            scripts,
            needs,
            ask_when,
            ask_when_short,
        })
    }

    fn code(&mut self, fields: &mut Fields<'_>) -> Option<String> {
        let line = fields.line_of("code");
        let code = self.text(fields, "code")?;
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if code.is_empty() || !code.chars().all(is_word) {
            self.fault(
                line,
                format!("code {code:?} に使えるのは a〜z、0〜9、_ だけです"),
                format!("code {code:?}: use a to z, 0 to 9 and _ only"),
            );
        }
        if self.codes.contains(&code) {
            self.fault(
                line,
                format!("code {code} は二度使われています"),
                format!("code `{code}` is used twice"),
            );
        }
        self.codes.push(code.clone());
        Some(code)
    }

    fn kind(&mut self, fields: &mut Fields<'_>) -> Option<Kind> {
        let line = fields.line_of("kind");
        match self.text(fields, "kind")?.as_str() {
            "number" => self.number(fields).map(Kind::Number),
            "yes_no" => Some(Kind::YesNo(self.keys(fields))),
            "group" => {
                let line = fields.line_of("signs");
                let signs = self.texts(fields, "signs");
                if signs.as_ref().is_some_and(Vec::is_empty) {
                    self.fault(
                        line,
                        "signs に症状を一つ以上書いてください",
                        "`signs` names at least one sign",
                    );
                }
                Some(Kind::Group { keys: self.keys(fields), signs: signs? })
            }
            other => {
                self.fault(
                    line,
                    format!("kind {other:?} は使えません(number、yes_no、group)"),
                    format!("kind {other:?}: use number, yes_no or group"),
                );
                // What belongs to the kind cannot be judged without knowing it.
                for key in NUMBER_KEYS.iter().chain(&["keys", "signs"]) {
                    fields.fields.remove(key);
                }
                None
            }
        }
    }

    fn number(&mut self, fields: &mut Fields<'_>) -> Option<NumberFormat> {
        let line = fields.line_of("min");
        let unit =
            self.word(fields, "unit", &[("temperature", Unit::Temperature), ("spo2", Unit::Spo2)]);
        let scale = if fields.fields.contains_key("scale") {
            self.integer(fields, "scale").unwrap_or(1)
        } else {
            1
        };
        if ![1, 10, 100].contains(&scale) {
            self.fault(line, "scale は 1、10、100 のどれかです", "`scale` is 1, 10 or 100");
        }
        let digits = self.digits(fields);
        let min = self.scaled(fields, "min", scale);
        let max = self.scaled(fields, "max", scale);
        let implausible = self.prompt(fields, "implausible", 0);
        let not_measured = self.not_measured(fields);
        let (min_digits, max_digits) = digits?;
        let format = NumberFormat {
            unit: unit?,
            min_digits,
            max_digits,
            min: min?,
            max: max?,
            scale: i32::try_from(scale).ok()?,
            not_measured: not_measured.as_ref().map(|(_, keys)| keys.clone()),
            implausible: implausible?,
        };
        self.check_range(line, &format);
        if let Some((line, keys)) = not_measured {
            self.check_not_measured(line, &keys, &format);
        }
        Some(format)
    }

    fn check_range(&mut self, line: usize, format: &NumberFormat) {
        let NumberFormat { min, max, min_digits, max_digits, .. } = *format;
        if min >= max {
            self.fault(line, "min は max より小さくしてください", "`min` must be less than `max`");
        }
        let digits_of = |value: i32| value.to_string().len();
        if min < 0 || digits_of(max) > max_digits || digits_of(max) < min_digits {
            self.fault(
                line,
                format!("{min}〜{max} は digits の桁数では押せません"),
                format!("{min} to {max} cannot be typed in the `digits` given"),
            );
        }
        // These are the values that can be said (see the blanks of a prompt).
        let sayable = match format.unit {
            Unit::Temperature => (format.scale == 10) && max < 1000,
            Unit::Spo2 => (format.scale == 1) && max <= 100,
        };
        if !sayable {
            self.fault(
                line,
                "temperature の scale は 10、spo2 の scale は 1 で 100 以下です",
                "temperature has scale 10 and spo2 has scale 1 and at most 100",
            );
        }
    }

    fn check_not_measured(&mut self, line: usize, keys: &str, format: &NumberFormat) {
        let n_keys = keys.chars().count();
        if !keys.chars().all(|key| key.is_ascii_digit()) {
            self.fault(
                line,
                "not_measured は数字だけです(* は繰り返し、# は終わりです)",
                "`not_measured` holds digits only: * repeats and # ends an answer",
            );
        } else if n_keys < format.min_digits || n_keys > format.max_digits {
            self.fault(
                line,
                "not_measured は digits と同じ桁数にしてください",
                "`not_measured` has as many keys as `digits` says",
            );
        } else if keys.parse().is_ok_and(|n: i32| (format.min..=format.max).contains(&n)) {
            self.fault(
                line,
                format!("not_measured: {keys} は値としてもありえます"),
                format!("`not_measured`: {keys} is also a plausible value"),
            );
        }
    }

    fn not_measured(&mut self, fields: &mut Fields<'_>) -> Option<(usize, String)> {
        let line = fields.fields.get("not_measured")?.line;
        Some((line, self.text(fields, "not_measured")?))
    }

    fn digits(&mut self, fields: &mut Fields<'_>) -> Option<(usize, usize)> {
        let Some(field) = fields.fields.remove("digits") else {
            self.fault(
                fields.line,
                "digits がありません(例: 3、[2, 3])",
                "`digits` is missing: 3, or [2, 3]",
            );
            return None;
        };
        let numbers: Option<Vec<usize>> = match field.value {
            DeValue::Array(array) => array.iter().map(|one| as_number(one.get_ref())).collect(),
            one => as_number(one).map(|number| vec![number]),
        };
        match numbers.as_deref() {
            Some([exactly @ 1..=6]) => Some((*exactly, *exactly)),
            Some([min @ 1..=6, max @ 1..=6]) if min <= max => Some((*min, *max)),
            _ => {
                self.fault(
                    field.line,
                    "digits は 1〜6 の数か、二つの数 [2, 3] です",
                    "`digits` is a number from 1 to 6, or two: [2, 3]",
                );
                None
            }
        }
    }

    fn keys(&mut self, fields: &mut Fields<'_>) -> ChoiceKeys {
        let Some(field) = fields.fields.remove("keys") else { return ChoiceKeys::STANDARD };
        let keys: Option<Vec<u8>> = field.value.as_array().and_then(|array| {
            array.iter().map(|key| u8::try_from(as_number(key.get_ref())?).ok()).collect()
        });
        let (yes, no, unknown) = match keys.as_deref() {
            Some(&[yes, no]) => (yes, no, None),
            Some(&[yes, no, unknown]) => (yes, no, Some(unknown)),
            _ => {
                self.fault(
                    field.line,
                    "keys には、はい・いいえ・わからないの数字を書いてください: [1, 2, 3]",
                    "`keys` holds the digits for yes, no and unknown: [1, 2, 3]",
                );
                return ChoiceKeys::STANDARD;
            }
        };
        let all: Vec<u8> = [Some(yes), Some(no), unknown].into_iter().flatten().collect();
        if all.iter().any(|key| *key > 8) {
            self.fault(
                field.line,
                "keys には 0〜8 を使ってください(9 と * は繰り返し、# は終わりです)",
                "`keys`: 9 and * repeat the question and # ends an answer; use 0 to 8",
            );
        }
        if (1..all.len()).any(|i| all.iter().take(i).any(|key| Some(key) == all.get(i))) {
            self.fault(
                field.line,
                "keys: 一つのキーに二つの意味はつけられません",
                "`keys`: one key cannot mean two things",
            );
        }
        ChoiceKeys { yes, no, unknown }
    }

    fn scripts(&mut self, fields: &mut Fields<'_>) -> Vec<Script> {
        let line = fields.line_of("scripts");
        let Some(names) = self.texts(fields, "scripts") else { return Vec::new() };
        if names.is_empty() {
            self.fault(
                line,
                "scripts には full、short、remeasure のどれかを書いてください",
                "`scripts` names full, short or remeasure",
            );
        }
        let mut scripts = Vec::new();
        for name in names {
            match Script::parse(&name) {
                Some(script) if script != Script::Farewell => scripts.push(script),
                _ => self.fault(
                    line,
                    format!("script {name:?} は使えません(full、short、remeasure)"),
                    format!("script {name:?}: use full, short or remeasure"),
                ),
            }
        }
        scripts
    }

    fn needs(&mut self, fields: &mut Fields<'_>) -> Option<Need> {
        fields.fields.get("needs")?;
        self.word(
            fields,
            "needs",
            &[("thermometer", Need::Thermometer), ("oximeter", Need::Oximeter)],
        )
    }

    fn conditions(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        earlier: &[Question],
        n_earlier: usize,
    ) -> Option<Vec<Condition>> {
        let line = fields.fields.get(key)?.line;
        let texts = self.texts(fields, key)?;
        let mut conditions = Vec::new();
        for text in texts {
            match condition(&text, earlier) {
                Ok(condition) => conditions.push(condition),
                // The question is there; what is wrong with it has been said.
                Err(_)
                    if self.codes.iter().take(n_earlier).any(|code| is_about(&text, code))
                        && !earlier.iter().any(|question| is_about(&text, &question.code)) => {}
                Err(problem) => self.fault(
                    line,
                    format!("{key}: {text:?}: {}", problem.ja),
                    format!("`{key}`: {text:?}: {}", problem.en),
                ),
            }
        }
        Some(conditions)
    }

    /// The prompts of a key that takes one or several, none of which may have a blank.
    fn prompts(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Vec<String> {
        let line = fields.line_of(key);
        let Some(prompts) = self.texts(fields, key) else { return Vec::new() };
        if prompts.is_empty() {
            self.fault(
                line,
                format!("{key} に文を一つ以上書いてください"),
                format!("`{key}` names at least one prompt"),
            );
        }
        for prompt in &prompts {
            self.check_prompt(line, prompt, 0);
        }
        prompts
    }

    fn prompt(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        n_blanks: usize,
    ) -> Option<String> {
        let line = fields.line_of(key);
        let prompt = self.text(fields, key)?;
        self.check_prompt(line, &prompt, n_blanks);
        Some(prompt)
    }

    fn check_prompt(&mut self, line: usize, id: &str, n_blanks: usize) {
        match self.catalog.prompt(id) {
            None => self.fault(
                line,
                format!("{id} という文はカタログにありません"),
                format!("prompt `{id}` is not in the catalogue"),
            ),
            Some(prompt) => {
                let found = prompt.text.blanks().count();
                if found != n_blanks {
                    self.fault(
                        line,
                        format!("{id} の空欄は {found} ですが、ここでは {n_blanks} 要ります"),
                        format!("prompt `{id}` has {found} blanks; here it needs {n_blanks}"),
                    );
                }
            }
        }
    }

    fn text(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
        let Some(field) = fields.fields.remove(key) else {
            self.fault(fields.line, format!("{key} がありません"), format!("`{key}` is missing"));
            return None;
        };
        let text = field.value.as_str().map(ToOwned::to_owned);
        if text.is_none() {
            self.fault(
                field.line,
                format!("{key} は引用符の中に書いてください"),
                format!("`{key}` must be a text in quotes"),
            );
        }
        text
    }

    /// One text or an array of texts.
    fn texts(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<Vec<String>> {
        let Some(field) = fields.fields.remove(key) else {
            self.fault(fields.line, format!("{key} がありません"), format!("`{key}` is missing"));
            return None;
        };
        let texts = match field.value {
            DeValue::Array(array) => {
                array.iter().map(|one| one.get_ref().as_str().map(ToOwned::to_owned)).collect()
            }
            one => one.as_str().map(|text| vec![text.to_owned()]),
        };
        if texts.is_none() {
            self.fault(
                field.line,
                format!("{key} は引用符の中に、いくつもあれば [ ] の中に書いてください"),
                format!("`{key}` must be a text, or texts in brackets"),
            );
        }
        texts
    }

    fn word<T: Copy>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let line = fields.line_of(key);
        let text = self.text(fields, key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(
                line,
                format!("{key}: {text:?} は使えません({})", known.join("、")),
                format!("`{key}`: {text:?} is unknown; use {}", known.join(" or ")),
            );
        }
        found
    }

    fn integer(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<i64> {
        let Some(field) = fields.fields.remove(key) else {
            self.fault(fields.line, format!("{key} がありません"), format!("`{key}` is missing"));
            return None;
        };
        let number = field.value.as_integer().and_then(|number| number.as_str().parse().ok());
        if number.is_none() {
            self.fault(
                field.line,
                format!("{key} は整数にしてください"),
                format!("`{key}` must be a whole number"),
            );
        }
        number
    }

    /// A number as people say it, in the unit of the keys.
    fn scaled(&mut self, fields: &mut Fields<'_>, key: &'static str, scale: i64) -> Option<i32> {
        let Some(field) = fields.fields.remove(key) else {
            self.fault(fields.line, format!("{key} がありません"), format!("`{key}` is missing"));
            return None;
        };
        let text = match field.value {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => "",
        };
        let value = to_keys(text, scale);
        if value.is_none() {
            self.fault(
                field.line,
                format!("{key} は scale で整数になる数にしてください"),
                format!("`{key}` must be a number that `scale` makes whole"),
            );
        }
        value
    }

    fn flag(&mut self, fields: &mut Fields<'_>, key: &'static str) -> bool {
        let Some(field) = fields.fields.remove(key) else { return false };
        let flag = field.value.as_bool();
        if flag.is_none() {
            self.fault(
                field.line,
                format!("{key} は true か false です"),
                format!("`{key}` is true or false"),
            );
        }
        flag.unwrap_or(false)
    }

    fn refuse_rest(&mut self, fields: Fields<'_>) {
        for (key, field) in fields.fields {
            self.fault(
                field.line,
                format!("{key} という項目はありません"),
                format!("unknown key `{key}`"),
            );
        }
    }
}

const NUMBER_KEYS: [&str; 7] =
    ["unit", "digits", "min", "max", "scale", "not_measured", "implausible"];

fn as_number(value: &DeValue<'_>) -> Option<usize> {
    value.as_integer()?.as_str().parse().ok()
}

/// `37.5` with scale 10 is 375. Decimal on paper and in here, so that nothing is rounded.
fn to_keys(text: &str, scale: i64) -> Option<i32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let n_places = usize::try_from(scale.checked_ilog10()?).ok()?;
    if fraction.len() > n_places || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{fraction:0<n_places$}").parse().ok()
}

fn is_about(condition: &str, code: &str) -> bool {
    condition.split(['<', '>', '=']).next().is_some_and(|first| first.trim() == code)
}

fn condition(text: &str, earlier: &[Question]) -> Result<Condition, Bilingual> {
    let wrong = |ja: String, en: String| Err(Bilingual::composed(ja, en));
    let (code, operator, value) = ["<=", ">=", "="]
        .into_iter()
        .find_map(|operator| text.split_once(operator).map(|(a, b)| (a.trim(), operator, b.trim())))
        .ok_or(Bilingual::fixed(
            "code = yes、code <= 95、code >= 38.5 のように書いてください",
            "write `code = yes`, `code <= 95` or `code >= 38.5`",
        ))?;
    let Some(question) = earlier.iter().find(|question| question.code == code) else {
        return wrong(
            format!("この質問の前に {code} という質問がありません"),
            format!("no question `{code}` comes before this one"),
        );
    };
    let test = match (&question.kind, operator) {
        (Kind::Number(format), "<=" | ">=") => {
            let limit = to_keys(value, i64::from(format.scale)).ok_or_else(|| {
                Bilingual::composed(
                    format!("{value} は {code} の値になりません"),
                    format!("`{value}` is no number that `{code}` can have"),
                )
            })?;
            if operator == "<=" { Test::AtMost(limit) } else { Test::AtLeast(limit) }
        }
        (Kind::Number(_), _) if matches!(value, "not_measured" | "unanswered") => {
            Test::Is(Answer::parse(value).ok_or(Bilingual::fixed("読めません", "cannot be read"))?)
        }
        (Kind::YesNo(_) | Kind::Group { .. }, "=") => match Answer::parse(value) {
            Some(answer @ (Answer::Choice(_) | Answer::Unanswered)) => Test::Is(answer),
            _ => {
                return Err(Bilingual::fixed(
                    "yes、no、unknown、unanswered のどれかにしてください",
                    "use yes, no, unknown or unanswered",
                ));
            }
        },
        (Kind::Number(_), _) => {
            return Err(Bilingual::fixed(
                "<=、>=、または = not_measured を使ってください",
                "use <=, >=, or = not_measured",
            ));
        }
        _ => {
            return wrong(
                format!("{code} は数ではありません。= を使ってください"),
                format!("`{code}` is no number; use ="),
            );
        }
    };
    Ok(Condition { question: code.to_owned(), test })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(toml: &str) -> String {
        let error = questionnaire(toml, &Catalog::embedded()).unwrap_err();
        error.0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn values_become_keys_without_rounding() {
        for (text, scale, expected) in [
            ("37.5", 10, Some(375)),
            ("37", 10, Some(370)),
            ("95", 1, Some(95)),
            ("42.0", 10, Some(420)),
            ("95.0", 1, Some(95)),
            ("37.55", 10, None),
            ("95.5", 1, None),
            ("x", 1, None),
            ("37.-5", 10, None),
        ] {
            assert_eq!(to_keys(text, scale), expected, "{text} × {scale}");
        }
    }

    #[test]
    fn the_built_in_questionnaire_is_valid() {
        let questionnaire = Questionnaire::recuperation();
        assert_eq!(questionnaire.key(), "recuperation@2");
        let codes: Vec<&str> =
            questionnaire.questions.iter().map(|question| question.code.as_str()).collect();
        assert_eq!(
            codes.iter().take(3).copied().collect::<Vec<_>>(),
            ["temperature", "spo2", "dyspnea"]
        );
        assert_eq!(codes.len(), 17);
        assert!(questionnaire.is_help("consultation"));
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_line() {
        let file = include_str!("../../tests/data/questionnaires/faulty.toml");
        insta::assert_snapshot!(faults(file), @r#"
        line 3: `version` must not be negative
        line 4: unknown key `owner`
        line 11: `min` must be less than `max`
        line 14: `not_measured` has as many keys as `digits` says
        line 19: prompt `confirm_dyspnea` has 0 blanks; here it needs 1
        line 25: `unit`: "kelvin" is unknown; use temperature or spo2
        line 26: `digits` is a number from 1 to 6, or two: [2, 3]
        line 28: `max` must be a number that `scale` makes whole
        line 30: prompt `no_such_prompt` is not in the catalogue
        line 32: prompt `readback_spo2` has 1 blanks; here it needs 0
        line 34: script "long": use full, short or remeasure
        line 35: `needs`: "thermos" is unknown; use thermometer or oximeter
        line 37: `ask_when_short` has no use: the question is not in script `short`
        line 40: `keys`: 9 and * repeat the question and # ends an answer; use 0 to 8
        line 40: `keys`: one key cannot mean two things
        line 41: `ask` names at least one prompt
        line 45: `ask_when`: "temperature = yes": use <=, >=, or = not_measured
        line 45: `ask_when`: "cough = yes": no question `cough` comes before this one
        line 45: `ask_when`: "face": write `code = yes`, `code <= 95` or `code >= 38.5`
        line 45: `ask_when`: "dyspnea = yes": no question `dyspnea` comes before this one
        line 48: `signs` is missing
        line 49: code `dyspnea` is used twice
        line 55: `ask_when`: "dyspnea = maybe": use yes, no, unknown or unanswered
        line 55: `ask_when`: "dyspnea <= 3": `dyspnea` is no number; use =
        line 57: `short` is missing
        line 58: code "Cough!": use a to z, 0 to 9 and _ only
        line 59: kind "scale": use number, yes_no or group
        line 62: `required` is true or false
        line 63: `scripts` names full, short or remeasure
        line 64: unknown key `prompt`
        line 71: 70 to 100 cannot be typed in the `digits` given
        line 73: `not_measured`: 77 is also a plausible value
        "#);
    }

    /// The built-in questionnaire begins with its key for help, in lines 25 to 29.
    #[test]
    fn faults_of_the_key_for_help_name_their_lines() {
        let file = include_str!("../../prompts/questionnaires/recuperation.toml");
        for (right, wrong, expected) in [
            ("key = 0", "key = 3", "line 27: `key` is also an answer to question `dyspnea`"),
            ("key = 0", "key = 1", "line 27: `key` is 0, or 3 to 8"),
            ("key = 0", "key = 9", "line 27: `key` is 0, or 3 to 8"),
            ("key = 0\n", "", "line 25: `key` is missing\nline 25: `key` is 0, or 3 to 8"),
            (
                "code = \"consultation\"",
                "code = \"dyspnea\"",
                "line 26: code `dyspnea` is used twice",
            ),
            (
                "hint = \"hint_consultation\"",
                "hint = \"hint\"",
                "line 28: prompt `hint` is not in the catalogue",
            ),
            ("\n[help]", "\n[help]\nscripts = 1", "line 26: unknown key `scripts`"),
            ("\n[help]", "\n[elp]", "line 25: unknown key `elp`"),
        ] {
            let file = file.replacen(right, wrong, 1);
            assert_eq!(faults(&file), expected);
        }
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        insta::assert_snapshot!(faults("id = \"x\"\nversion = = 1\n"), @r"
        line 2: extra `=`, expected nothing
        line 2: unexpected key or value, expected newline, `#`
        ");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "([a-z_\\[\\]= \"0-9.\n]{0,12}|\\[\\[question\\]\\]\n|code = \"a\"\n|kind = \"number\"\n|digits = [0-9]\n){0,20}") {
            let _ = questionnaire(&text, &Catalog::embedded());
        }
    }
}
