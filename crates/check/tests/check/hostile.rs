//! Files that are broken or lie.

use lorabake_check::Level;

use crate::folder::{Folder, drawing};

#[test]
fn what_is_broken_is_named_and_the_rest_goes_on() {
    let folder = Folder::new();
    folder.captions("1_x", &["penny, hat", "penny, sky", "penny, sea"]);
    let whole = std::fs::read(folder.path("1_x/00.png")).unwrap();
    folder.write("1_x/cut.png", &whole[..whole.len() / 2]);
    folder.write("1_x/empty.png", "");
    folder.write("1_x/text.jpg", "no picture at all");
    folder.write("1_x/gif.png", "GIF89a and so on");
    folder.write("1_x/moving.gif", "GIF89a");
    folder.write("1_x/latin.png", &whole);
    folder.write("1_x/latin.txt", b"penny, caf\xe9");
    let report = folder.report();
    assert_eq!(report.images, 3);
    let read = folder.said("img.read");
    let errors: Vec<&str> = read.iter().filter(|own| own.0 == Level::Error).map(|own| own.1.as_str()).collect();
    assert_eq!(errors.len(), 4, "{read:?}");
    for name in ["cut.png", "empty.png", "text.jpg", "gif.png"] {
        assert!(errors.iter().any(|own| own.ends_with(name)), "{name}: {errors:?}");
    }
    assert!(read.iter().any(|own| own.0 == Level::Warning && own.1.ends_with("moving.gif")), "{read:?}");
    let [latin] = &folder.findings("cap.encoding")[..] else { panic!("{:?}", folder.said("cap.encoding")) };
    assert_eq!((latin.level, latin.sentence.contains("an accented letter of Windows?")), (Level::Error, true));
}

#[test]
fn a_picture_whose_middle_is_spoilt_is_found_when_it_is_decoded() {
    let folder = Folder::new();
    folder.captions("1_x", &["penny"]);
    let mut bytes = std::fs::read(folder.path("1_x/00.png")).unwrap();
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 64] {
        *byte ^= 0x5a;
    }
    folder.write("1_x/00.png", &bytes);
    let [(level, subject)] = &folder.said("img.read")[..] else { panic!("{:?}", folder.said("img.read")) };
    assert_eq!((*level, subject.ends_with("00.png")), (Level::Error, true));
}

#[test]
fn nothing_in_the_data_set_is_changed() {
    let folder = Folder::new();
    folder.captions("1_x", &["penny,  hat ,", "PENNY, sky"]);
    folder.picture("1_x/small.png", &drawing(9, 40, 40));
    let list = || {
        let mut files: Vec<_> =
            std::fs::read_dir(folder.path("1_x")).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = list();
    folder.report();
    assert_eq!(list(), before);
}
