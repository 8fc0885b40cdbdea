//! Every persona in `assets/personas` is a character card V3 with a name, a greeting and a language.

use serde_json::Value;

#[test]
fn every_persona_is_a_complete_card() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/personas");
    let mut n_cards = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let card: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let place = path.display();
        assert_eq!(card["spec"], "chara_card_v3", "{place}");
        assert_eq!(card["spec_version"], "3.0", "{place}");
        for key in ["name", "description", "personality", "first_mes", "creator"] {
            let text = card["data"][key].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{key} in {place}");
        }
        let own = &card["data"]["extensions"]["companion"];
        assert!(matches!(own["language"].as_str(), Some("en" | "ja")), "{place}");
        assert!(own["body"].is_string(), "{place}");
        n_cards += 1;
    }
    assert!(n_cards >= 2);
}
