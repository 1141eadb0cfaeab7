//! Messages that tortured others: those of RFC 4475 and RFC 5118 where they are at hand, and our
//! own. Each must meet exactly one fate.

use std::path::{Path, PathBuf};
use std::{env, fs};

use mimamori::sip::message::{Message, Method};
use mimamori::sip::parse::Capabilities;

/// What becomes of a datagram: the status it is refused with, or one of these words.
///
/// `handled`: a request that is served. `response`: one that can be matched to a request.
/// `dropped`: nothing is sent back.
fn fate(datagram: &[u8]) -> String {
    match Message::parse(datagram) {
        Ok(Message::Request(request)) => match request.validate(&our_capabilities()) {
            Ok(()) => "handled".to_owned(),
            // An ACK is never answered, and without a Via nobody knows where to.
            Err(_) if request.method == Method::Ack || request.headers.via().is_err() => {
                "dropped".to_owned()
            }
            Err(rejection) => rejection.response(&request).status.to_string(),
        },
        Ok(Message::Response(response)) => {
            let can_be_matched = response.headers.via().is_ok() && response.headers.cseq().is_ok();
            if can_be_matched { "response".to_owned() } else { "dropped".to_owned() }
        }
        Err(error) => {
            error.response.map_or("dropped".to_owned(), |response| response.status.to_string())
        }
    }
}

fn our_capabilities() -> Capabilities {
    let methods =
        [Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options, Method::Update];
    Capabilities {
        methods: methods.to_vec(),
        extensions: vec!["timer".to_owned(), "100rel".to_owned()],
        content_types: vec!["application/sdp".to_owned()],
    }
}

#[test]
fn rfc_messages_meet_their_fate() {
    let Some(folder) = shared("data/sip-torture") else { return };
    let mut fates = Vec::new();
    for rfc in ["rfc4475", "rfc5118"] {
        let index = fs::read_to_string(folder.join(rfc).join("INDEX.tsv")).expect("has an index");
        for row in index.lines().skip(1) {
            let columns: Vec<&str> = row.split('\t').collect();
            let (file, passes_if) = (columns[0], columns[columns.len() - 1]);
            let datagram = fs::read(folder.join(rfc).join(file)).expect("the index names files");
            let fate = fate(&datagram);
            assert!(allows(passes_if, &fate), "{file}: {fate}, but it passes if: {passes_if}");
            fates.push(format!("{file} {fate}"));
        }
    }
    insta::assert_snapshot!(fates.join("\n"), @"
    wsinv.dat handled
    intmeth.dat 501
    esc01.dat handled
    escnull.dat 405
    esc02.dat 501
    lwsdisp.dat handled
    longreq.dat handled
    dblreq.dat 405
    semiuri.dat handled
    transports.dat handled
    mpart01.dat 405
    unreason.dat response
    noreason.dat response
    badinv01.dat dropped
    clerr.dat 400
    ncl.dat 400
    scalar02.dat 400
    scalarlg.dat dropped
    quotbal.dat 400
    ltgtruri.dat 400
    lwsruri.dat 400
    lwsstart.dat 400
    trws.dat handled
    escruri.dat 400
    baddate.dat handled
    regbadct.dat 405
    badaspec.dat handled
    baddn.dat 400
    baddn-terminated.dat 400
    badvers.dat dropped
    mismatch01.dat 400
    mismatch02.dat 501
    bigcode.dat dropped
    badbranch.dat 400
    insuf.dat 400
    unkscm.dat 416
    novelsc.dat 416
    unksm2.dat 405
    bext01.dat 420
    invut.dat 415
    regaut01.dat 405
    multi01.dat 400
    mcl01.dat 400
    bcast.dat response
    zeromf.dat handled
    cparam01.dat 405
    cparam02.dat 405
    regescrt.dat 405
    sdp01.dat 406
    inv2543.dat 400
    test.dat dropped
    ipv6-good.dat 405
    ipv6-bad.dat 400
    port-ambiguous.dat 405
    port-unambiguous.dat 405
    via-received-param-with-delim.dat handled
    via-received-param-no-delim.dat handled
    ipv6-in-sdp.dat handled
    mult-ip-in-header.dat handled
    mult-ip-in-sdp.dat handled
    ipv4-mapped-ipv6.dat handled
    ipv6-bug-abnf-3-colons.dat 400
    ipv6-correct-abnf-2-colons.dat handled
    ");
}

/// Whether the verdict of the index allows the fate.
fn allows(passes_if: &str, fate: &str) -> bool {
    let has = |word: &str| passes_if.contains(word);
    match fate {
        _ if passes_if == "not 400" => fate != "400",
        "handled" => {
            let refuses = passes_if.starts_with("400") || passes_if.starts_with("drop");
            !refuses || has("liberal") || has("normal") || has("ignored")
        }
        "response" => has("dropped"),
        "dropped" => has("drop"),
        "400" => has("400") && !has("not 400"),
        // A method that is not ours.
        "405" => has("405") || has("policy reply") || has("normal") || has("one reply"),
        status => has(status),
    }
}

#[test]
fn printed_rfc_messages_are_read_again() {
    let Some(folder) = shared("data/sip-torture") else { return };
    let mut count = 0;
    for path in files(&folder.join("rfc4475")).into_iter().chain(files(&folder.join("rfc5118"))) {
        let datagram = fs::read(&path).expect("is readable");
        if let Ok(message) = Message::parse(&datagram) {
            assert_eq!(Message::parse(&message.to_bytes()), Ok(message), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 40, "only {count} messages were read");
}

#[test]
fn our_own_bad_messages_meet_their_fate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad_messages");
    let mut fates = Vec::new();
    for path in files(&folder) {
        let datagram = fs::read(&path).expect("is readable");
        let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
        fates.push(format!("{name}: {}{}", fate(&datagram), details(&datagram)));
    }
    insta::assert_snapshot!(fates.join("\n"), @r#"
    ack_short_body.dat: dropped
    ack_unknown_extension.dat: handled, 9 fields, tag None, contact Ok(true), body 92
    bare_cr_in_header_200.dat: response, 8 fields, tag Some("t1"), contact Ok(true), body 92
    binary_garbage.dat: dropped
    blank_after_tag_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    broken_contact_200.dat: response, 7 fields, tag Some("t1"), contact Err(Malformed("Contact")), body 92
    bye_negative_length.dat: 400
    bye_no_max_forwards.dat: handled, 5 fields, tag Some("f1"), contact Ok(false), body 0
    bye_no_via.dat: dropped, 6 fields, tag Some("f1"), contact Ok(false), body 0
    bye_odd_body.dat: handled, 7 fields, tag Some("f1"), contact Ok(false), body 5
    bye_overlarge_cseq.dat: 400, 6 fields, tag Some("f1"), contact Ok(false), body 0
    compact_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    empty_tag_200.dat: response, 7 fields, tag Some(""), contact Ok(true), body 92
    folded_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    http_request.dat: dropped
    invite_bare_tel_uri.dat: handled, 8 fields, tag None, contact Ok(true), body 92
    invite_comma_in_name.dat: 400, 8 fields, tag None, contact Ok(true), body 92
    invite_gzip.dat: 415, 9 fields, tag None, contact Ok(true), body 92
    invite_huge_field.dat: handled, 9 fields, tag None, contact Ok(true), body 92
    invite_lower_case_method.dat: 501, 8 fields, tag None, contact Ok(true), body 92
    invite_requires_unknown.dat: 420, 9 fields, tag None, contact Ok(true), body 92
    invite_short_body.dat: 400
    invite_too_many_fields.dat: dropped
    invite_truncated_head.dat: dropped
    invite_two_call_ids.dat: 400, 9 fields, tag None, contact Ok(true), body 92
    invite_version_3.dat: 505
    keep_alive.dat: dropped
    latin1_display_name_in_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    latin1_header_in_200.dat: response, 8 fields, tag Some("t1"), contact Ok(true), body 92
    lf_only_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 86
    line_without_colon_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    mixed_line_ends_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    no_content_length_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    no_reason_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    notify_not_ours.dat: 405, 6 fields, tag Some("f1"), contact Ok(false), body 0
    nul_in_header_200.dat: response, 8 fields, tag Some("t1"), contact Ok(true), body 92
    nul_keep_alive.dat: dropped
    options_tab_in_start_line.dat: 400
    short_body_200.dat: dropped
    status_20.dat: dropped
    status_700.dat: dropped
    stun_binding.dat: dropped
    two_datagrams_in_one_200.dat: response, 7 fields, tag Some("t1"), contact Ok(true), body 92
    "#);
}

/// What could be read, for those messages where it matters.
fn details(datagram: &[u8]) -> String {
    let Ok(message) = Message::parse(datagram) else { return String::new() };
    let body = match &message {
        Message::Request(request) => request.body.len(),
        Message::Response(response) => response.body.len(),
    };
    let headers = message.headers();
    let tag = headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
    let contact = headers.contact().map(|contact| contact.is_some());
    format!(", {} fields, tag {tag:?}, contact {contact:?}, body {body}", headers.len())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder exists");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("is readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "dat"));
    paths.sort();
    paths
}

/// A path in the folder of data that is shared between projects, where that exists.
fn shared(path: &str) -> Option<PathBuf> {
    let folder = env::var_os("MIMAMORI_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = folder.join(path);
    if !path.exists() {
        eprintln!("skipped: {} does not exist", path.display());
        return None;
    }
    Some(path)
}
