//! Patient lists as spreadsheets write them: whole files, byte for byte.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use jiff::civil::{Date, date, time};
use mimamori::base::PhoneNumber;
use mimamori::registry::import::{self, Import};
use mimamori::registry::{PhoneRole, RiskFlag};
use proptest::prelude::*;

const TODAY: Date = date(2021, 9, 2);

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import");
    fs::read(folder.join(name)).expect("the file belongs to the project")
}

fn read(name: &str) -> Import {
    import::read(&file(name), TODAY)
}

/// What a dry run tells: one line for each row, with its faults and notes below.
fn explained(import: &Import) -> String {
    let mut text = format!("{}\n", import.encoding);
    for fault in &import.faults {
        writeln!(text, "! {fault}").expect("a string takes all");
    }
    for note in &import.notes {
        writeln!(text, "- {note}").expect("a string takes all");
    }
    for row in &import.rows {
        match &row.outcome {
            Ok(draft) => {
                writeln!(text, "{}: {:?}", row.line, draft.phones).expect("a string takes all");
            }
            Err(faults) => {
                writeln!(text, "{}: refused", row.line).expect("a string takes all");
                for fault in faults {
                    writeln!(text, "  ! {fault}").expect("a string takes all");
                }
            }
        }
        for note in &row.notes {
            writeln!(text, "  - {note}").expect("a string takes all");
        }
    }
    text
}

fn number(text: &str) -> PhoneNumber {
    text.parse().expect("a number that may be dialled")
}

#[test]
fn a_list_saved_by_a_japanese_spreadsheet_is_read_whole() {
    let import = read("excel_cp932.csv");
    assert_eq!(import.encoding, "Shift_JIS");
    let drafts: Vec<_> = import.drafts().collect();
    assert_eq!(drafts.len(), 4, "{}", explained(&import));

    let first = drafts[0];
    assert_eq!(first.registration_number, "20210001");
    assert_eq!(first.name.expose(), "髙﨑 良子");
    assert_eq!(first.kana.expose(), "タカサキ ヨシコ");
    assert_eq!(*first.birth_date.expose(), date(1940, 1, 1));
    let phones: Vec<_> =
        first.phones.iter().map(|phone| (phone.number.clone(), phone.role)).collect();
    assert_eq!(
        phones,
        [(number("0312345678"), PhoneRole::Home), (number("09012345678"), PhoneRole::Mobile)]
    );
    assert_eq!(first.call_times, [time(9, 0, 0, 0), time(14, 30, 0, 0)]);
    assert_eq!(first.risks, [RiskFlag::Diabetes, RiskFlag::Hypertension]);
    assert!(first.lives_alone && first.slow_speech && first.has_oximeter);
    assert_eq!(*first.onset.expose(), Some(date(2021, 8, 30)));
    assert_eq!(first.remarks.expose(), "耳が遠い\n大きな声で");

    let second = drafts[1];
    assert_eq!(second.registration_number, "20210002");
    assert_eq!(second.name.expose(), "神崎 一郎");
    assert_eq!(second.kana.expose(), "カンザキ イチロウ");
    assert_eq!(*second.birth_date.expose(), date(1985, 7, 15));
    assert_eq!((second.first_day, second.last_day), (date(2021, 9, 2), date(2021, 9, 11)));
    assert!(!second.lives_alone && !second.has_oximeter && second.has_thermometer);

    let last = drafts[3];
    assert_eq!(*last.birth_date.expose(), date(1926, 12, 25));
    assert_eq!(last.phones.len(), 2, "the third is the second again");
    assert_eq!(last.last_day, date(2021, 9, 15), "14 days");
}

#[test]
fn the_encoding_makes_no_difference() {
    let drafts = |name| read(name).drafts().cloned().collect::<Vec<_>>();
    assert_eq!(drafts("excel_cp932.csv"), drafts("excel_utf8_bom.csv"));
}

#[test]
fn a_list_in_another_order_with_english_headings_is_read() {
    let import = read("excel_unicode.tsv");
    insta::assert_snapshot!(explained(&import), @r#"
    UTF-16LE
    - 3行目 I（血液型） この列は読み込みません / this column is not read
    4: [PatientPhone { number: …78, role: Family, may_call: true }]
      - 4行目 B（Tel1(家族)） 先頭の0が失われていたため補いました。正しいかご確認ください / the leading 0 was missing and has been restored; please check
    "#);
    let draft = import.drafts().next().unwrap();
    assert_eq!(draft.phones[0].role, PhoneRole::Family);
    assert_eq!(draft.call_times.len(), 2);
}

#[test]
fn every_row_is_explained() {
    insta::assert_snapshot!(explained(&read("excel_cp932.csv")), @r#"
    Shift_JIS
    2: [PatientPhone { number: …78, role: Home, may_call: true }, PatientPhone { number: …78, role: Mobile, may_call: true }]
      - 2行目 F（電話番号1） 先頭の0が失われていたため補いました。正しいかご確認ください / the leading 0 was missing and has been restored; please check
      - 2行目 G（電話番号2） 先頭の0が失われていたため補いました。正しいかご確認ください / the leading 0 was missing and has been restored; please check
    4: [PatientPhone { number: …79, role: Mobile, may_call: true }, PatientPhone { number: …70, role: Home, may_call: true }]
      - 4行目 5行目の方と同じ電話番号です（同じ世帯として、順に電話します） / same telephone as line 5: a household, called one by one
    5: [PatientPhone { number: …79, role: Mobile, may_call: true }]
      - 5行目 4行目の方と同じ電話番号です（同じ世帯として、順に電話します） / same telephone as line 4: a household, called one by one
    6: [PatientPhone { number: …78, role: Home, may_call: true }, PatientPhone { number: …78, role: Mobile, may_call: true }]
      - 6行目 F（電話番号1） 番号通知の指定（184）を取り除きました。発信者番号は常に通知します / the caller-ID prefix 184 was removed; our number is always shown
      - 6行目 H（電話番号3） 同じ番号が先の欄にもあります。1つにまとめました / the same number stands in an earlier column; kept once
      - 6行目 M（架電時刻2） 同じ時刻が重なっています。1つにまとめました / the same time stands twice; kept once
      - 6行目 観察終了日がないため、14日間（2021-09-15まで）としました / no last day of observation: 14 days, until 2021-09-15
    "#);
}

#[test]
fn every_fault_has_its_place_and_its_remedy() {
    insta::assert_snapshot!(explained(&read("faults_cp932.csv")), @r#"
    Shift_JIS
    2: refused
      ! 2行目 F（電話番号1） [###] 3桁の特番（110・119・171など）には発信できません。患者本人または家族の固定電話・携帯電話・IP電話の番号を確認して入力してください / a three-digit service (such as 110, 119, 171) is never dialled: ask for, and enter, the landline, mobile or IP telephone number of the patient or the family
    3: refused
      ! 3行目 C（フリガナ） [13文字] カタカナ以外の文字が含まれています。姓と名をカタカナで、間を空けて入力してください（例 ヤマダ ハナコ） / contains characters other than katakana: enter family and given name in katakana with a space between (such as ヤマダ ハナコ)
      ! 3行目 D（生年月日） [#####] 表計算ソフトの内部の日付番号になっています。列の書式を「日付」または「文字列」に直して保存し直してください（例 2021/9/2） / this is a spreadsheet's own number for a date: format the column as a date or as text and save again (such as 2021/9/2)
      ! 3行目 F（電話番号1） [####-###-###] フリーダイヤル等（0120・0800）には発信できません。患者本人または家族の固定電話・携帯電話・IP電話の番号を確認して入力してください / a toll-free number (0120, 0800) is never dialled: ask for, and enter, the landline, mobile or IP telephone number of the patient or the family
      ! 3行目 G（電話番号2） [####-###-###] ナビダイヤル（0570）には発信できません。患者本人または家族の固定電話・携帯電話・IP電話の番号を確認して入力してください / a shared-cost number (0570) is never dialled: ask for, and enter, the landline, mobile or IP telephone number of the patient or the family
      ! 3行目 H（電話番号3） [+# ### ### ####] 日本以外の国番号には発信できません。日本国内の番号を入力してください。国内の番号がない方は職員が連絡してください / a number of another country is never dialled: enter a number in Japan; staff must contact patients who have none
      ! 3行目 I（発症日） [####/#/##] 暦にない日付です。月と日を確認してください / there is no such day: check the month and the day
      ! 3行目 J（観察開始日） [44441] 表計算ソフトの内部の日付番号になっています。列の書式を「日付」または「文字列」に直して保存し直してください（例 2021/9/2） / this is a spreadsheet's own number for a date: format the column as a date or as text and save again (such as 2021/9/2)
      ! 3行目 K（観察終了日） [21/9/11] 年が西暦4桁でも元号付きでもありません。西暦4桁（2021/9/2）か元号付き（令和3年9月2日、R3.9.2）で入力してください / the year has neither four digits nor an era: enter the year with four digits (2021/9/2) or with its era (R3.9.2)
      ! 3行目 L（架電時刻1） [25:00] 時刻として読めません。9:00、9時、午前9時半、0900 のいずれかの形で入力してください / cannot be read as a time of day: enter it as 9:00, 9時, 午前9時半 or 0900
      ! 3行目 M（架電時刻2） [朝] 時刻として読めません。9:00、9時、午前9時半、0900 のいずれかの形で入力してください / cannot be read as a time of day: enter it as 9:00, 9時, 午前9時半 or 0900
      ! 3行目 P（言語） [英語] この言語の音声はありません。日本語での自動架電を受けられる方は「日本語」と入力し、受けられない方は職員が電話してください / no prompts are spoken in this language: enter 日本語 if the patient can be called in Japanese; staff must call the others
      ! 3行目 Q（体温計） [たぶん] 「あり」か「なし」か読み取れません。「あり」または「なし」と入力してください / can be read neither as yes nor as no: enter あり or なし (yes or no)
      ! 3行目 S（同居/独居） [4文字] 「同居」か「独居」か読み取れません。「同居」または「独居」と入力してください / tells neither 同居 nor 独居: enter 同居 (with others) or 独居 (alone)
      ! 3行目 T（リスク因子） [2文字] 知られていないリスク因子が含まれています。呼吸器疾患・腎疾患・心疾患・糖尿病・高血圧・肥満・免疫抑制・妊婦・中等症以上 から選び、ほかのことは備考に書いてください / contains a risk that is not known: choose from 呼吸器疾患, 腎疾患, 心疾患, 糖尿病, 高血圧, 肥満, 免疫抑制, 妊婦, 中等症以上; write anything else into 備考
    4: refused
      ! 4行目 D（生年月日） [####/#/#] 生年月日が未来か、120年以上前です。年と元号を確認してください / the birth date is in the future or more than 120 years ago: check the year and the era
      ! 4行目 F（電話番号1） [###-####-###] 桁数が足りません。市外局番から、固定電話は10桁、携帯・IP電話は11桁で入力してください（例 03-1234-5678、090-1234-5678） / too few digits: enter 10 digits with the area code, or 11 digits for a mobile or IP telephone (such as 03-1234-5678, 090-1234-5678)
      ! 4行目 K（観察終了日） [2021/9/2] 観察終了日が開始日より前です。開始日と終了日を確認してください / the last day of observation is before the first: check the first and the last day
    5: refused
      ! 5行目 引用符（"）が閉じていないか、途中で閉じています。この行の引用符を取り除くか、対にしてください / a quote (") is not closed, or closes in the middle of a cell: remove the quotes of this line, or pair them
    6: refused
      ! 6行目 W [2文字] 見出しより多くの列があります。区切り文字（,）を含む欄がないか、列がずれていないか確認してください / there are more cells than headings: look for a comma inside a cell, or for shifted columns
    7: refused
      ! 7行目 B（氏名） [5文字] 文字コードで表せない文字（外字や文字化け）が含まれています。その文字を入力し直し、UTF-8で保存してください / contains characters that the encoding cannot express: type the characters again and save as UTF-8
      - 7行目 C（フリガナ） 姓と名の間に空白がありません。呼び名を確認してください / no space between family and given name: check what is said
    9: [PatientPhone { number: …07, role: Mobile, may_call: true }]
    10: refused
      ! 10行目 A（管理番号） [30000007] 9行目と同じ管理番号です。同じ方ならどちらかの行を消し、別の方なら管理番号を直してください / line 9 has the same registration number: delete one line if it is the same person; else correct the number
    11: refused
      ! 11行目 A（管理番号） [1.23457E+11] 管理番号として読めません（表計算ソフトが丸めた数かもしれません）。列の書式を「文字列」にして、英数字とハイフンで40字以内で入力してください / cannot be read as a registration number (a spreadsheet may have rounded it): format the column as text and enter up to 40 letters, digits and hyphens
      ! 11行目 F（電話番号1） 電話番号がありません。市外局番から、固定電話は10桁、携帯・IP電話は11桁で入力してください（例 03-1234-5678、090-1234-5678） / no telephone number: enter 10 digits with the area code, or 11 digits for a mobile or IP telephone (such as 03-1234-5678, 090-1234-5678)
    12: [PatientPhone { number: …09, role: Mobile, may_call: true }]
      - 12行目 B（氏名） 氏名に「?」があります。保存時に失われた文字かもしれません / the name has a ?, perhaps a character lost while saving
      - 12行目 F（電話番号1） 先頭の0が失われていたため補いました。正しいかご確認ください / the leading 0 was missing and has been restored; please check
      - 12行目 観察終了日がないため、14日間（2021-09-15まで）としました / no last day of observation: 14 days, until 2021-09-15
    "#);
}

#[test]
fn no_fault_shows_whom_it_is_about() {
    let text = explained(&read("faults_cp932.csv")) + &explained(&read("excel_cp932.csv"));
    for datum in ["山田", "Yamada", "鈴木", "佐藤", "水虫", "2031", "0120-123", "12345678", "[090"]
    {
        assert!(!text.contains(datum), "{datum} is shown:\n{text}");
    }
}

#[test]
fn a_list_without_headings_is_refused_as_a_whole() {
    for bytes in [&b""[..], b"\xff\xfe", b"1,2,3\n", b"\x00\x01\x02", b"PK\x03\x04\x14\x00"] {
        let import = import::read(bytes, TODAY);
        assert_eq!((import.faults.len(), import.rows.len()), (1, 0));
    }
    let import = import::read("氏名,生年月日,電話番号1\n".as_bytes(), TODAY);
    let missing: Vec<_> = import.faults.iter().map(|fault| fault.what.ja.to_string()).collect();
    assert_eq!(missing, ["「管理番号」の列がありません", "「フリガナ」の列がありません"]);
}

/// A list of good rows, each cell in quotes.
fn good_list(n_rows: usize) -> Vec<String> {
    let head =
        ["管理番号", "氏名", "フリガナ", "生年月日", "電話番号1", "観察開始日", "観察終了日"];
    let quoted = |cells: &[String]| format!("\"{}\"", cells.join("\",\""));
    let mut lines = vec![quoted(&head.map(str::to_owned))];
    lines.extend((0..n_rows).map(|n| {
        quoted(&[
            format!("M-{n}"),
            "山田 花子".to_owned(),
            "ヤマダ ハナコ".to_owned(),
            "S15.1.1".to_owned(),
            format!("090-1234-{n:04}"),
            "R3.9.2".to_owned(),
            "R3.9.11".to_owned(),
        ])
    }));
    lines
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let import = import::read(&bytes, TODAY);
        let _ = explained(&import);
    }

    #[test]
    fn a_damaged_file_is_read_without_a_panic(
        damage in prop::collection::vec((0_usize..2000, any::<u8>()), 1..20),
    ) {
        let mut bytes = file("excel_cp932.csv");
        for (at, byte) in damage {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        let _ = explained(&import::read(&bytes, TODAY));
    }

    #[test]
    fn a_bad_row_never_damages_the_rest(
        garbage in "[\"',;\t\0a1あ\\\\-]{0,60}|\\PC{0,60}",
        at in 1_usize..5,
    ) {
        let mut lines = good_list(4);
        let whole: Vec<_> = import::read(lines.join("\r\n").as_bytes(), TODAY)
            .drafts()
            .cloned()
            .collect();
        prop_assert_eq!(whole.len(), 4);
        lines.insert(at, garbage);
        let import = import::read(lines.join("\r\n").as_bytes(), TODAY);
        let rest: Vec<_> = import.drafts().cloned().collect();
        prop_assert_eq!(rest, whole);
    }

    #[test]
    fn whoever_is_taken_over_can_be_called(cells in prop::collection::vec("[0-9０-９+() -]{0,13}|09[0-9]{9}", 3)) {
        let row = format!("X,A,カナ,S15.1.1,{}", cells.join(","));
        let text = format!("管理番号,氏名,フリガナ,生年月日,電話番号1,電話番号2,電話番号3\n{row}\n");
        for draft in import::read(text.as_bytes(), TODAY).drafts() {
            prop_assert!(!draft.phones.is_empty());
            for phone in &draft.phones {
                prop_assert_eq!(
                    mimamori::base::phone::may_be_dialled(&phone.number.national()), Ok(())
                );
            }
        }
    }
}
