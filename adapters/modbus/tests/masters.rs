//! The masters: frames of the specifications, times, and what they do when the line misbehaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use adapter_modbus::spec::{Parity, SerialPort, SerialSpec, Timing};
use adapter_modbus::{
    Completed, Exception, Exchange, Extent, Failure, Request, Response, SerialFraming,
    SerialMaster, SerialTimes, StartError, Table, TcpMaster,
};

const TIMES: SerialTimes =
    SerialTimes { character: 0, silence: 2_000, pause: 0, turnaround: 100_000 };

fn ask(unit: u8, request: Request) -> Exchange {
    Exchange { token: 7, unit, request, timeout: 300_000 }
}

fn holding(start: u16, count: u16) -> Request {
    Request::Read { table: Table::Holding, start, count }
}

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// A serial master that has just sent this, at time 0 of a line that has been silent.
fn sent(unit: u8, request: Request, echo: bool) -> (SerialMaster, Vec<u8>) {
    let mut master = SerialMaster::new(SerialFraming::Rtu, TIMES, echo, -10_000, 0);
    let mut out = Vec::new();
    master.start(0, ask(unit, request), &mut out).unwrap();
    (master, out)
}

fn only(done: Vec<Completed>) -> Result<Response, Failure> {
    let [completed] = <[Completed; 1]>::try_from(done).unwrap();
    completed.result
}

fn serial(baud: u32, parity: Parity) -> SerialTimes {
    let port = SerialPort::Path("/dev/ttyAMA0".into());
    let spec = SerialSpec {
        port,
        framing: SerialFraming::Rtu,
        baud,
        data_bits: 8,
        parity,
        stop_bits: 1,
        rs485: None,
        echo: false,
    };
    SerialTimes::serial(&spec, &Timing::default())
}

/// A frame whose length nobody knows before: KBR multicomp F144, manual 25359_EDEBDA0279-2320-1_EN, page 63.
#[test]
fn an_identification_comes_in_pieces_of_any_size() {
    let request = Request::Identify { extent: Extent::Basic, object: 0 };
    let answer = hex(
        "01 2B 0E 01 01 00 00 03 00 08 4B 42 52 20 47 6D 62 48 01 12 6D 75 6C 74 69 63 6F 6D 70 20 46 31 \
        34 34 2D 33 20 20 02 09 20 32 2E 30 30 72 30 31 36 CD DB",
    );
    for size in 1..answer.len() {
        let (mut master, out) = sent(1, request.clone(), false);
        assert_eq!(out, hex("01 2B 0E 01 00 70 77"));
        let mut done = Vec::new();
        for (now, piece) in (10_000..).step_by(500).zip(answer.chunks(size)) {
            assert!(done.is_empty(), "not before it is whole");
            master.received(now, piece, &mut done);
        }
        let Ok(Response::Identification(said)) = only(done) else { panic!("in pieces of {size}") };
        assert_eq!(said.objects.len(), 3);
    }
}

/// Whole frames, checksums included, of the textbook device 17: the requests as in the tests of node-modbus/stream,
/// the answers as in many implementations' tests ("11 03 06 AE 41 56 52 43 40 49 AD").
#[test]
fn textbook_frames_of_a_serial_line() {
    let read = |table, start, count| Request::Read { table, start, count };
    let coils = [true, false, true, true, false, false, true, true, true, false].into();
    for (request, frame, answer) in [
        (read(Table::Coil, 19, 37), "11 01 00 13 00 25 0E 84", "11 01 05 CD 6B B2 0E 1B 45 E6"),
        (read(Table::Discrete, 196, 22), "11 02 00 C4 00 16 BA A9", "11 02 03 AC DB 35 20 18"),
        (holding(107, 3), "11 03 00 6B 00 03 76 87", "11 03 06 AE 41 56 52 43 40 49 AD"),
        (read(Table::Input, 8, 1), "11 04 00 08 00 01 B2 98", "11 04 02 00 0A F8 F4"),
        (
            Request::WriteCoil { number: 172, on: true },
            "11 05 00 AC FF 00 4E 8B",
            "11 05 00 AC FF 00 4E 8B",
        ),
        (
            Request::WriteCoils { start: 19, values: coils },
            "11 0F 00 13 00 0A 02 CD 01 BF 0B",
            "11 0F 00 13 00 0A 26 99",
        ),
    ] {
        let (mut master, out) = sent(17, request.clone(), false);
        assert_eq!(out, hex(frame), "{request:?}");
        let mut done = Vec::new();
        let answer = hex(answer);
        let (last, first) = answer.split_last().unwrap();
        for byte in first {
            master.received(20_000, &[*byte], &mut done);
            assert!(done.is_empty(), "{request:?}");
        }
        master.received(20_000, &[*last], &mut done);
        let response = only(done).unwrap();
        assert_eq!(response, request.accept(&answer[1..answer.len() - 2]).unwrap());
    }
    // Unit 10 refuses with exception 2.
    let (mut master, _) = sent(10, read(Table::Coil, 0x04A1, 1), false);
    let mut done = Vec::new();
    master.received(20_000, &hex("0A 81 02 B0 53"), &mut done);
    assert_eq!(only(done), Err(Failure::Exception(Exception::IllegalAddress)));
}

/// A frame of Modicon's manual (33002479, p. 347): "00 01 00 00 00 06 01 03 00 00 00 01".
#[test]
fn a_textbook_frame_of_tcp_in_pieces() {
    let mut master = TcpMaster::new(1, 0, 1);
    let (mut out, mut done) = (Vec::new(), Vec::new());
    master.start(0, ask(1, holding(0, 1)), &mut out).unwrap();
    assert_eq!(out, hex("00 01 00 00 00 06 01 03 00 00 00 01"));
    assert_eq!(master.ready_at(), None);
    for piece in hex("00 01 00 00 00 05 01 03 02 12 34").chunks(4) {
        assert!(done.is_empty());
        master.received(5, piece, &mut done).unwrap();
    }
    assert_eq!((done[0].sent, done[0].at, done[0].exchange.token), (0, 5, 7));
    assert_eq!(only(done).unwrap().register(0), Some(0x1234));
}

#[test]
fn silence_is_three_and_a_half_characters_or_a_fixed_time() {
    // 3.5 characters of 11 bits at 9600 baud are 4010.4 us.
    assert_eq!(serial(9_600, Parity::Even).silence, 4_011);
    assert_eq!(serial(9_600, Parity::None).silence, 4_011);
    assert_eq!(serial(19_200, Parity::Even).silence, 2_006);
    assert_eq!(serial(38_400, Parity::Even).silence, 1_750);
    assert_eq!(serial(9_600, Parity::Even).character, 1_145_833);
    assert_eq!(serial(9_600, Parity::None).character, 1_041_666);
}

#[test]
fn the_next_request_waits_for_silence() {
    let (mut master, _) = sent(17, holding(107, 3), false);
    let mut done = Vec::new();
    master.received(20_000, &hex("11 03 06 AE 41 56 52 43 40 49 AD"), &mut done);
    assert_eq!(master.ready_at(), Some(22_000));
    let early = master.start(21_999, ask(17, holding(1, 1)), &mut Vec::new());
    assert_eq!(early, Err(StartError::NotReady));
    master.received(21_000, &[0], &mut done);
    assert_eq!(master.ready_at(), Some(23_000), "a stray byte begins the silence anew");
    master.start(23_000, ask(17, holding(1, 1)), &mut Vec::new()).unwrap();
    assert_eq!(master.ready_at(), None);
    let full = master.start(23_000, ask(18, holding(1, 1)), &mut Vec::new());
    assert_eq!(full, Err(StartError::Full));
}

#[test]
fn a_timeout_quarantines_the_line_and_is_remembered() {
    let (mut master, _) = sent(17, holding(107, 3), false);
    let mut done = Vec::new();
    assert_eq!(master.wake(), Some(300_000));
    master.tick(299_999, &mut done);
    assert!(done.is_empty());
    master.tick(300_000, &mut done);
    assert_eq!(only(std::mem::take(&mut done)), Err(Failure::Timeout));
    assert_eq!(master.ready_at(), Some(600_000), "at least the timeout");
    assert_eq!(master.must_differ(17), [holding(0, 3).shape()]);
    assert_eq!(master.must_differ(18), []);
    // The answer comes late: it is heard by nobody, and the next quarantine knows how late answers can be.
    master.received(500_000, &hex("11 03 06 AE 41 56 52 43 40 49 AD"), &mut done);
    assert_eq!((done.len(), master.longest_answer(17)), (0, Some(500_000)));
    master.start(600_000, ask(17, holding(107, 3)), &mut Vec::new()).unwrap();
    master.tick(900_000, &mut done);
    assert_eq!(master.ready_at(), Some(1_900_000), "twice the longest answer time seen");
    // An accepted answer settles what was owed, and is counted where it had the owed shape.
    master.start(1_900_000, ask(17, holding(107, 3)), &mut Vec::new()).unwrap();
    master.received(1_950_000, &hex("11 03 06 AE 41 56 52 43 40 49 AD"), &mut done);
    assert_eq!((master.must_differ(17).len(), master.counters().risked), (0, 1));
}

#[test]
fn a_damaged_answer_ends_soon() {
    let (mut master, _) = sent(17, holding(107, 3), false);
    let mut done = Vec::new();
    master.received(20_000, &hex("11 03 06 AE 41 56 52 43 41 49 AD"), &mut done);
    assert_eq!(master.wake(), Some(42_000), "silence and what a USB adapter may hold back");
    master.tick(42_000, &mut done);
    assert_eq!(only(done), Err(Failure::Malformed("checksum")));
    assert_eq!(master.ready_at(), Some(84_000));
    assert_eq!(master.must_differ(17).len(), 1);
}

#[test]
fn only_others_answered() {
    let (mut master, _) = sent(16, holding(107, 3), false);
    let mut done = Vec::new();
    master.received(20_000, &hex("11 03 06 AE 41 56 52 43 40 49 AD"), &mut done);
    master.tick(300_000, &mut done);
    assert_eq!(only(done), Err(Failure::Foreign(17)));
}

/// A register map may hold copies of frames, in a bridge's diagnostics for example.
#[test]
fn a_frame_inside_anothers_frame_is_no_answer() {
    let inner = hex("11 03 06 AE 41 56 52 43 40 49 AD");
    // Unit 18 answers seven registers, the first of which are a whole answer of unit 17.
    let outer = [hex("12 03 0E"), inner.clone(), hex("00 00 00 B9 21")].concat();
    let (mut master, _) = sent(17, holding(107, 3), false);
    let mut done = Vec::new();
    master.received(20_000, &outer, &mut done);
    assert!(done.is_empty(), "{done:?}");
    master.received(21_000, &inner, &mut done);
    assert!(only(done).is_ok());
}

#[test]
fn nothing_answers_before_it_is_asked() {
    let times = SerialTimes { character: 1_000_000, ..TIMES };
    let mut master = SerialMaster::new(SerialFraming::Rtu, times, false, -10_000, 0);
    let mut done = Vec::new();
    master.start(0, ask(17, holding(107, 3)), &mut Vec::new()).unwrap();
    // Eight characters of a millisecond each are still leaving; the answer then takes eleven.
    master.received(7_999, &hex("11 03 06 AE 41 56 52 43 40 49 AD"), &mut done);
    assert!(done.is_empty());
    assert_eq!(master.wake(), Some(8_000 + 300_000 + 11_000));
}

#[test]
fn a_broadcast_is_not_answered() {
    let (mut master, out) = sent(0, Request::WriteRegister { number: 1, value: 3 }, false);
    let mut done = Vec::new();
    assert_eq!(out[..2], [0, 6]);
    master.received(0, &[0, 6, 0, 1, 0, 3], &mut done);
    master.tick(master.wake().unwrap(), &mut done);
    assert_eq!(only(done), Ok(Response::Written));
    assert_eq!(master.ready_at(), Some(100_000), "time for every unit to do it");
    let read = master.start(200_000, ask(0, holding(0, 1)), &mut Vec::new());
    assert_eq!(read, Err(StartError::Broadcast));
}

#[test]
fn an_echo_is_no_answer() {
    let write = Request::WriteRegister { number: 1, value: 3 };
    let (mut master, out) = sent(17, write, true);
    let mut done = Vec::new();
    master.received(5_000, &out, &mut done);
    assert!(done.is_empty(), "the copy of a single write is taken for what it is");
    master.received(20_000, &out, &mut done);
    assert_eq!(only(done), Ok(Response::Written));
    // Reading 24 coils from 0x0300 has an echo that looks like its answer: byte count 3.
    let coils = Request::Read { table: Table::Coil, start: 0x0300, count: 24 };
    let (mut master, out) = sent(17, coils, false);
    let mut done = Vec::new();
    master.received(5_000, &out, &mut done);
    assert_eq!((done.len(), master.counters().echoes), (0, 1));
}

#[test]
fn the_port_is_lost() {
    let (mut master, _) = sent(17, holding(107, 3), false);
    let mut done = Vec::new();
    master.lost(10_000, &mut done);
    assert_eq!(only(done), Err(Failure::Lost));
    assert_eq!(master.in_flight(), 0);
    assert_eq!(master.ready_at(), Some(310_000), "its answer may still come");
}

#[test]
fn a_late_answer_on_tcp_is_discarded_and_the_waiting_goes_on() {
    let mut master = TcpMaster::new(1, 0, 65_535);
    let mut done = Vec::new();
    master.start(0, ask(1, holding(0, 1)), &mut Vec::new()).unwrap();
    master.tick(300_000, &mut done);
    assert_eq!(only(std::mem::take(&mut done)), Err(Failure::Timeout));
    assert_eq!(master.must_differ(1), [holding(0, 1).shape()]);
    let mut out = Vec::new();
    master.start(300_000, ask(1, holding(0, 1)), &mut out).unwrap();
    assert_eq!(out[..2], [0, 0], "ids wrap");
    let late = hex("FF FF 00 00 00 05 01 03 02 AA AA");
    master.received(310_000, &late, &mut done).unwrap();
    assert_eq!((done.len(), master.counters().discarded), (0, 1));
    master.received(320_000, &hex("00 00 00 00 00 05 01 03 02 BB BB"), &mut done).unwrap();
    assert_eq!(only(done).unwrap().register(0), Some(0xBBBB));
}

/// Exception 0B comes from a bridge that gave up waiting: it may still give the late answer the next request's id.
#[test]
fn what_a_bridge_says_settles_no_debt() {
    let mut master = TcpMaster::new(1, 0, 0);
    let mut done = Vec::new();
    master.start(0, ask(5, holding(0, 1)), &mut Vec::new()).unwrap();
    master.received(9, &hex("00 00 00 00 00 03 05 83 0B"), &mut done).unwrap();
    assert_eq!(only(std::mem::take(&mut done)), Err(Failure::Exception(Exception::NoTarget)));
    assert_eq!(master.must_differ(5), [holding(0, 1).shape()]);
    master.start(10, ask(5, holding(0, 2)), &mut Vec::new()).unwrap();
    master.received(19, &hex("00 01 00 00 00 07 05 03 04 00 01 00 02"), &mut done).unwrap();
    assert!(only(done).is_ok() && master.must_differ(5).is_empty());
}

#[test]
fn answers_in_another_order_find_their_requests() {
    let mut master = TcpMaster::new(2, 0, 0);
    let mut done = Vec::new();
    for token in 0..2 {
        let exchange = Exchange { token, ..ask(1, holding(0, 1)) };
        master.start(0, exchange, &mut Vec::new()).unwrap();
    }
    assert_eq!((master.ready_at(), master.in_flight()), (None, 2));
    let both = hex("00 01 00 00 00 05 01 03 02 BB BB 00 00 00 00 00 05 01 03 02 AA AA");
    master.received(9, &both, &mut done).unwrap();
    let found: Vec<_> =
        done.iter().map(|d| (d.exchange.token, d.result.clone().unwrap().register(0))).collect();
    assert_eq!(found, [(1, Some(0xBBBB)), (0, Some(0xAAAA))]);
}

#[test]
fn a_stream_without_frames_is_given_up() {
    for wrong in ["00 00 00 01 00 05 01 03", "00 00 00 00 00 01 01", "00 00 00 00 00 FF 01"] {
        let mut master = TcpMaster::new(1, 0, 0);
        let mut done = Vec::new();
        master.start(0, ask(1, holding(0, 1)), &mut Vec::new()).unwrap();
        master.received(9, &hex(wrong), &mut done).unwrap_err();
        assert!(matches!(only(done), Err(Failure::Malformed(_))), "{wrong}");
    }
    // A frame that was cut off when its time was over: what follows cannot be told from its rest.
    let mut master = TcpMaster::new(1, 0, 0);
    let mut done = Vec::new();
    master.start(0, ask(1, holding(0, 1)), &mut Vec::new()).unwrap();
    master.received(9, &hex("00 00 00 00 00 05 01"), &mut done).unwrap();
    master.tick(300_000, &mut done);
    master.received(310_000, &hex("03 02 AA AA"), &mut done).unwrap_err();
    // A frame that swallowed the head of the next one is not believed.
    let mut master = TcpMaster::new(2, 0, 0);
    done.clear();
    master.start(0, ask(1, holding(0, 1)), &mut Vec::new()).unwrap();
    master.start(0, ask(1, holding(0, 1)), &mut Vec::new()).unwrap();
    let cut = hex("00 00 00 00 00 05 01 03 02 00 01 00 00 00 05 01 03 02 BB BB");
    master.received(9, &cut, &mut done).unwrap_err();
    assert!(done.iter().all(|d| d.result.is_err()) && done.len() == 2, "{done:?}");
}

#[test]
fn the_wrong_unit_on_tcp_is_no_answer() {
    let mut master = TcpMaster::new(1, 0, 0);
    let mut done = Vec::new();
    master.start(0, ask(1, holding(0, 1)), &mut Vec::new()).unwrap();
    master.received(9, &hex("00 00 00 00 00 05 02 03 02 AA AA"), &mut done).unwrap();
    assert_eq!(only(done), Err(Failure::Foreign(2)));
}
