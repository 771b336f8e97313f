//! Requests and answers against the examples of the specification.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use adapter_modbus::{
    AnswerError, Exception, Extent, Request, RequestError, Response, Shape, Table,
};

fn read(table: Table, start: u16, count: u16) -> Request {
    Request::Read { table, start, count }
}

fn encoded(request: &Request) -> Vec<u8> {
    request.check().unwrap();
    let mut out = Vec::new();
    request.encode(&mut out);
    out
}

fn registers(bytes: &[u8]) -> Response {
    Response::Registers(bytes.into())
}

/// The worked example of each function: Modbus Application Protocol V1.1b3, 6.1 to 6.6, 6.11, 6.12, 6.16.
#[test]
fn the_examples_of_the_specification() {
    let bits = |bytes: &[u8]| Response::Bits(bytes.into());
    let coils = [true, false, true, true, false, false, true, true, true, false];
    let mask = Request::MaskRegister { number: 4, keep: 0x00F2, set: 0x0025 };
    let cases: [(Request, &[u8], &[u8], Response); 9] = [
        (
            read(Table::Coil, 19, 19),
            &[0x01, 0x00, 0x13, 0x00, 0x13],
            &[0x01, 0x03, 0xCD, 0x6B, 0x05],
            bits(&[0xCD, 0x6B, 0x05]),
        ),
        (
            read(Table::Discrete, 196, 22),
            &[0x02, 0x00, 0xC4, 0x00, 0x16],
            &[0x02, 0x03, 0xAC, 0xDB, 0x35],
            bits(&[0xAC, 0xDB, 0x35]),
        ),
        (
            read(Table::Holding, 107, 3),
            &[0x03, 0x00, 0x6B, 0x00, 0x03],
            &[0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64],
            registers(&[0x02, 0x2B, 0x00, 0x00, 0x00, 0x64]),
        ),
        (
            read(Table::Input, 8, 1),
            &[0x04, 0x00, 0x08, 0x00, 0x01],
            &[0x04, 0x02, 0x00, 0x0A],
            registers(&[0x00, 0x0A]),
        ),
        (
            Request::WriteCoil { number: 172, on: true },
            &[0x05, 0x00, 0xAC, 0xFF, 0x00],
            &[0x05, 0x00, 0xAC, 0xFF, 0x00],
            Response::Written,
        ),
        (
            Request::WriteRegister { number: 1, value: 3 },
            &[0x06, 0x00, 0x01, 0x00, 0x03],
            &[0x06, 0x00, 0x01, 0x00, 0x03],
            Response::Written,
        ),
        (
            Request::WriteCoils { start: 19, values: coils.into() },
            &[0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x01],
            &[0x0F, 0x00, 0x13, 0x00, 0x0A],
            Response::Written,
        ),
        (
            Request::WriteRegisters { start: 1, values: [0x000A, 0x0102].into() },
            &[0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02],
            &[0x10, 0x00, 0x01, 0x00, 0x02],
            Response::Written,
        ),
        (
            mask,
            &[0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25],
            &[0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25],
            Response::Written,
        ),
    ];
    for (request, sent, answered, response) in cases {
        assert_eq!(encoded(&request), sent, "{request:?}");
        assert_eq!(request.accept(answered), Ok(response), "{request:?}");
        let shape = Shape { function: sent[0], length: answered.len() };
        assert_eq!(request.shape(), shape, "{request:?}");
    }
}

/// Function 23 as in the manual of the WAGO-I/O-SYSTEM 750 (6.3.11) and in GE's GFK-2222AD (message 23), function 22 as in the latter
/// (message 22: the registers as they travel after the slave address).
#[test]
fn reading_and_writing_at_once() {
    let request = Request::ReadWrite { read: 0, count: 2, write: 3, values: [0x0123].into() };
    let wago = [0x17, 0, 0, 0, 2, 0, 3, 0, 1, 2, 0x01, 0x23];
    assert_eq!(encoded(&request), wago);
    let answer = [0x17, 4, 0x00, 0x04, 0x56, 0x78];
    assert_eq!(request.accept(&answer), Ok(registers(&[0x00, 0x04, 0x56, 0x78])));
    assert_eq!(request.shape(), Shape { function: 0x17, length: answer.len() });
    assert!(request.is_write());
    let values = [0xFF, 0xFF, 0xFF].into();
    let request = Request::ReadWrite { read: 4, count: 6, write: 15, values };
    let ge = [0x17, 0, 4, 0, 6, 0, 15, 0, 3, 6, 0, 0xFF, 0, 0xFF, 0, 0xFF];
    assert_eq!(encoded(&request), ge);
    let mask = Request::MaskRegister { number: 4, keep: 0xF2, set: 0x25 };
    assert_eq!(encoded(&mask), [0x16, 0, 4, 0, 0xF2, 0, 0x25]);

    let sized = |count, writes: usize| {
        Request::ReadWrite { read: 0, count, write: 0, values: vec![0; writes].into() }.check()
    };
    assert_eq!((sized(125, 121), sized(1, 1)), (Ok(()), Ok(())));
    for (count, writes) in [(126, 1), (0, 1), (1, 122), (1, 0)] {
        assert!(sized(count, writes).is_err(), "{count} and {writes}");
    }
}

/// KBR multicomp F144, manual 25359_EDEBDA0279-2320-1_EN, page 63: "Example Modbus RTU".
#[test]
fn a_device_says_what_it_is() {
    let request = Request::Identify { extent: Extent::Basic, object: 0 };
    assert_eq!(encoded(&request), [0x2B, 0x0E, 0x01, 0x00]);
    let mut answer = vec![0x2B, 0x0E, 0x01, 0x01, 0x00, 0x00, 0x03, 0x00, 0x08];
    answer.extend(b"KBR GmbH\x01\x12multicomp F144-3  \x02\x09 2.00r016");
    let Ok(Response::Identification(said)) = request.accept(&answer) else { panic!() };
    assert_eq!(said.text(0).as_deref(), Some("KBR GmbH"));
    let shown = "vendor \"KBR GmbH\", product code \"multicomp F144-3\", revision \"2.00r016\"";
    assert_eq!(said.to_string(), shown);
    assert_eq!(said.next, None);
    let other = Request::Identify { extent: Extent::Regular, object: 0 };
    for (request, at, byte) in
        [(&other, 0, 0x2B), (&request, 1, 0x0D), (&request, 4, 1), (&request, 6, 4)]
    {
        let mut wrong = answer.clone();
        wrong[at] = byte;
        assert!(matches!(request.accept(&wrong), Err(AnswerError::Malformed(_))), "byte {at}");
    }
    let refused = request.accept(&[0xAB, 0x01]);
    assert_eq!(refused, Err(AnswerError::Exception(Exception::IllegalFunction)));
}

/// Section 7: reading coil 1185 of a device without it. The exchange of 6.1 also says which bit is which.
#[test]
fn a_refusal_is_typed_and_bits_count_from_the_lowest() {
    let request = read(Table::Coil, 0x04A1, 1);
    assert_eq!(encoded(&request), [0x01, 0x04, 0xA1, 0x00, 0x01]);
    let refused = AnswerError::Exception(Exception::IllegalAddress);
    assert_eq!(request.accept(&[0x81, 0x02]), Err(refused));
    assert_eq!(refused.to_string(), "the device refused: illegal data address (exception 02)");
    for code in 0..=255 {
        assert_eq!(Exception::from_code(code).code(), code);
    }

    let coils = read(Table::Coil, 19, 19).accept(&[0x01, 0x03, 0xCD, 0x6B, 0x05]).unwrap();
    // Outputs 27 to 20 are 1100 1101, output 38 is 1: 6.1.
    let first: Vec<_> = (0..8).map(|at| coils.bit(at).unwrap()).collect();
    assert_eq!(first, [true, false, true, true, false, false, true, true]);
    assert_eq!((coils.bit(18), coils.bit(24)), (Some(true), None));
    assert_eq!((coils.register(0), registers(&[1, 2]).register(0)), (None, Some(0x0102)));
}

/// The quantities that 6.1 to 6.4, 6.11 and 6.12 allow.
#[test]
fn the_limits_of_the_protocol() {
    for (table, most) in
        [(Table::Coil, 2000), (Table::Discrete, 2000), (Table::Input, 125), (Table::Holding, 125)]
    {
        assert_eq!(read(table, 0, most).check(), Ok(()));
        for count in [0, most + 1] {
            let error = RequestError::Count { table, count: usize::from(count), limit: most };
            assert_eq!(read(table, 0, count).check(), Err(error));
        }
        assert_eq!(read(table, 65_535, 1).check(), Ok(()));
        assert!(matches!(read(table, 65_535, 2).check(), Err(RequestError::End { .. })));
    }
    let registers = |n| Request::WriteRegisters { start: 0, values: vec![7; n].into() };
    let coils = |n| Request::WriteCoils { start: 0, values: vec![true; n].into() };
    assert_eq!((encoded(&registers(123)).len(), encoded(&coils(1968)).len()), (252, 252));
    assert!(registers(124).check().is_err() && coils(1969).check().is_err());
    assert!(registers(0).check().is_err() && coils(0).check().is_err());
}

#[test]
fn what_does_not_answer_the_request_is_malformed() {
    let request = read(Table::Holding, 107, 3);
    let answer = [0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64];
    let what = |pdu: &[u8]| match request.accept(pdu) {
        Err(AnswerError::Malformed(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(&[]), "it is empty");
    assert_eq!(what(&answer[..7]), "length");
    assert_eq!(what(&[0x04, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64]), "function");
    assert_eq!(what(&[0x03, 0x04, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64]), "byte count");
    assert_eq!(what(&[0x83]), "length of an exception");
    assert_eq!(what(&[0x83, 0x02, 0x00]), "length of an exception");

    let write = Request::WriteRegister { number: 1, value: 3 };
    for (pdu, what) in [
        ([0x06, 0x00, 0x02, 0x00, 0x03], "echoed address"),
        ([0x06, 0x00, 0x01, 0x00, 0x04], "echoed value or quantity"),
    ] {
        assert_eq!(write.accept(&pdu), Err(AnswerError::Malformed(what)));
    }
    let many = Request::WriteRegisters { start: 1, values: [10, 0x0102].into() };
    let short = many.accept(&[0x10, 0x00, 0x01, 0x00, 0x01]);
    assert_eq!(short, Err(AnswerError::Malformed("echoed value or quantity")));
}

#[test]
fn only_what_reads_is_taken_from_bytes() {
    let read = Request::Read { table: Table::Holding, start: 40_000, count: 2 };
    assert_eq!(Request::reading(&[3, 0x9C, 0x40, 0, 2]), Some(read));
    for pdu in [&[3, 0, 0, 0, 0][..], &[3, 0, 0, 0, 126], &[4, 0xFF, 0xFF, 0, 2], &[6, 0, 1, 0, 1]]
    {
        assert_eq!(Request::reading(pdu), None, "{pdu:?}");
    }
    assert_eq!(Request::reading(&[3, 0, 0, 0]), None);
    assert_eq!(Request::reading(&[]), None);
}
