//! Which asset a device is, by what it says of itself, and whether that is what its plate should say.

use adapter::Identity;

use crate::Response;
use crate::spec::DeviceSpec;

/// Object numbers of function 43/14.
const VENDOR: u8 = 0;
const PRODUCT: u8 = 1;

/// What the answers to 43/14 (where it is asked) and to the reads of the identity points say.
pub(crate) fn identify(spec: &DeviceSpec, answers: &[Option<Response>]) -> Identity {
    let (first, points) =
        answers.split_at(usize::from(spec.identification.is_some()).min(answers.len()));
    let said = first.iter().flatten().find_map(|answer| match answer {
        Response::Identification(said) => Some(said),
        _ => None,
    });
    let object = |id: u8| said.and_then(|said| said.text(id));
    let serial = spec.identification.and_then(|spec| spec.serial).and_then(object);
    // All points or none: a part of an id is another id.
    let read = spec.identity.iter().zip(points).map(|(codec, answer)| match answer {
        Some(Response::Registers(bytes)) => {
            let (value, quality) = codec.decode(bytes);
            value.filter(|_| quality.is_good()).map(|value| words(&value))
        }
        _ => None,
    });
    let read: Option<Vec<String>> = read.collect();
    let read = read.map(|parts| parts.join(" ").trim().to_owned()).filter(|all| !all.is_empty());
    // The revision changes with each update, so it is no part of what tells one asset from another.
    let kind =
        object(VENDOR).zip(object(PRODUCT)).map(|(vendor, product)| format!("{vendor} {product}"));
    let own = read.or(serial);

    let plate = &spec.nameplate;
    let mut differs = Vec::new();
    let mut compare = |what: &str, plate: Option<&str>, device: Option<&str>, same: Same| {
        if let (Some(plate), Some(device)) = (plate, device)
            && !same(plate, device)
        {
            differs.push(format!("{what} should be {plate:?} and is {device:?}"));
        }
    };
    compare("its serial number", plate.serial.as_deref(), own.as_deref(), equal);
    compare("its manufacturer", plate.manufacturer.as_deref(), object(VENDOR).as_deref(), alike);
    Identity {
        asset: own.or(kind).map(Into::into),
        said: said.map(|said| said.to_string().into()),
        differs,
    }
}

/// Whether two texts mean the same.
type Same = fn(&str, &str) -> bool;

/// Whether they are the same but for case, spaces, punctuation and zeros before it. A part of a serial number is another
/// one.
fn equal(a: &str, b: &str) -> bool {
    bare(a).trim_start_matches('0') == bare(b).trim_start_matches('0')
}

/// Whether one is a part of the other, but for case, spaces and punctuation: "EASTRON" and "Eastron Ltd." are alike.
fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (bare(a), bare(b));
    a.contains(&b) || b.contains(&a)
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A value as a part of an asset id.
fn words(value: &twin::Value) -> String {
    use twin::Value;
    match value {
        Value::Text(text) => text.trim().into(),
        Value::Unsigned(n) => n.to_string(),
        Value::Signed(n) | Value::Decimal(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Value::Time(t) => t.0.to_string(),
        Value::List(of) | Value::Record(of) => of.iter().map(words).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use twin::Nameplate;

    use super::*;
    use crate::spec::{IdentificationSpec, Limits};
    use crate::{Address, Extent, Format, Identification, Int, Kind, PointCodec, Table};

    fn spec(serial: Option<u8>, points: u16, nameplate: Nameplate) -> DeviceSpec {
        let codec = |number| {
            let format = Format::new(Kind::Int(Int::U16));
            PointCodec::new(Address::new(Table::Holding, number), format).unwrap()
        };
        DeviceSpec {
            doubtful: false,
            twin: "t".parse().unwrap(),
            revision: 1,
            unit: 1,
            timeout: 1,
            pause: 0,
            limits: Limits::default(),
            groups: Vec::new(),
            points: Vec::new().into(),
            identity: (0..points).map(codec).collect(),
            identification: Some(IdentificationSpec { extent: Extent::Extended, serial }),
            nameplate,
            retries: 1,
            busy: (0, 0),
        }
    }

    fn said() -> Option<Response> {
        let object = |(id, text): (u8, &str)| (id, text.as_bytes().into());
        let objects = [(0, "ACME Ltd."), (1, "P-100"), (2, "1.7"), (128, "4711")].map(object);
        Some(Response::Identification(Identification { objects: objects.into(), next: None }))
    }

    fn register(value: u16) -> Option<Response> {
        Some(Response::Registers(value.to_be_bytes().into()))
    }

    #[test]
    fn the_asset_is_its_serial_number_or_at_least_its_kind() {
        let plain = Nameplate::default();
        let asset = |spec: &DeviceSpec, answers: &[Option<Response>]| identify(spec, answers).asset;
        assert_eq!(asset(&spec(Some(128), 0, plain.clone()), &[said()]).as_deref(), Some("4711"));
        let kind = asset(&spec(None, 0, plain.clone()), &[said()]);
        assert_eq!(kind.as_deref(), Some("ACME Ltd. P-100"), "without the revision");
        let points = spec(Some(128), 2, plain);
        let read = asset(&points, &[said(), register(8), register(15)]);
        assert_eq!(read.as_deref(), Some("8 15"), "points that were named win");
        let part = asset(&points, &[said(), None, register(15)]);
        assert_eq!(part.as_deref(), Some("4711"), "a part of an id is none");
        assert_eq!(asset(&points, &[None, None, None]), None);
    }

    #[test]
    fn what_the_plate_says_otherwise_is_told() {
        let plate = |manufacturer: &str, serial: &str| Nameplate {
            manufacturer: Some(manufacturer.into()),
            serial: Some(serial.into()),
            ..Nameplate::default()
        };
        let differs = |plate| identify(&spec(Some(128), 0, plate), &[said()]).differs;
        assert!(differs(plate("acme", "4711")).is_empty());
        assert!(differs(plate("ACME Ltd", "0047-11")).is_empty());
        assert_eq!(differs(plate("ACME", "471")).len(), 1, "a part of it is another device's");
        let other = differs(plate("Other", "4712"));
        assert_eq!(
            other,
            [
                "its serial number should be \"4712\" and is \"4711\"",
                "its manufacturer should be \"Other\" and is \"ACME Ltd.\""
            ]
        );
    }
}
