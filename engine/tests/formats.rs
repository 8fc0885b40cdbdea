//! Model folders: what is written comes back, and what is not a model of ours is refused with a reason.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, fs, path::Path};

use engine::{
    checkpoint::{self, Brain, BrainOptions, CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE},
    model::{ModelConfig, packed::ModelState, param_specs},
    rng::Rng,
    tokenizer::Tokenizer,
};
use safetensors::{SafeTensors, tensor::TensorView};

fn config() -> ModelConfig {
    ModelConfig { vocab_size: 320, n_layers: 1, ..ModelConfig::preset("nano").unwrap() }
}

fn params(cfg: &ModelConfig, seed: u64) -> BTreeMap<String, Vec<f32>> {
    let mut rng = Rng::new(seed);
    param_specs(cfg)
        .into_iter()
        .map(|spec| {
            let n = spec.shape.iter().product();
            (spec.name, (0..n).map(|_| rng.normal() as f32).collect())
        })
        .collect()
}

fn write(dir: &Path, seed: u64) -> String {
    let (cfg, params) = (config(), params(&config(), seed));
    let tokenizer = Tokenizer::bytes_only(cfg.vocab_size).unwrap();
    let meta = BTreeMap::from([("steps".to_owned(), "12".to_owned())]);
    checkpoint::export(dir, &cfg, &tokenizer, &|name| params[name].clone(), &meta).unwrap()
}

fn load(dir: &Path) -> Result<Brain, String> {
    Brain::load(dir, &BrainOptions { threads: 1, isa: None }).map_err(|e| e.to_string())
}

/// Writes the model file again after a change of its tensors; metadata as given.
fn rewrite(
    dir: &Path,
    metadata: &[(&str, &str)],
    change: impl Fn(&str, &mut safetensors::Dtype, &mut Vec<usize>, &mut Vec<u8>) -> bool,
) {
    let bytes = fs::read(dir.join(MODEL_FILE)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut parts = Vec::new();
    for (name, view) in file.iter() {
        let (mut dtype, mut shape, mut data) =
            (view.dtype(), view.shape().to_vec(), view.data().to_vec());
        if change(name, &mut dtype, &mut shape, &mut data) {
            parts.push((name.to_owned(), dtype, shape, data));
        }
    }
    let views =
        parts.iter().map(|(n, t, s, d)| (n.clone(), TensorView::new(*t, s.clone(), d).unwrap()));
    let metadata = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    fs::write(dir.join(MODEL_FILE), safetensors::serialize(views, Some(metadata)).unwrap())
        .unwrap();
}

#[test]
fn a_model_comes_back_and_its_id_says_which() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let id = write(a.path(), 1);
    assert_eq!(id, write(b.path(), 1), "the same weights have the same id");
    assert_ne!(id, write(b.path(), 2));
    assert_eq!(id.len(), 16);
    let brain = load(a.path()).unwrap();
    assert_eq!((brain.id.as_str(), brain.meta["steps"].as_str()), (id.as_str(), "12"));
    assert_eq!(brain.config, config());
    let mut state = ModelState::new(&brain.config);
    let x = brain.model.forward_token(40, &mut state);
    assert!(x.iter().all(|v| v.is_finite()) && x.iter().any(|v| *v != 0.0));
}

#[test]
fn full_precision_is_what_the_packed_model_holds_and_exports_to_the_same_codes() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(a.path(), 3);
    let full = checkpoint::full_precision(a.path()).unwrap();
    let original = params(&config(), 3);
    for spec in param_specs(&config()) {
        let (got, want) = (&full.tensors[&spec.name], &original[&spec.name]);
        assert_eq!(got.len(), want.len(), "{}", spec.name);
        match spec.ternary_parts {
            Some(parts) => {
                for (got, want) in
                    got.chunks(got.len() / parts).zip(want.chunks(want.len() / parts))
                {
                    let mean =
                        want.iter().map(|v| f64::from(v.abs())).sum::<f64>() / want.len() as f64;
                    for (g, w) in got.iter().zip(want) {
                        let code = (w / mean as f32).round().clamp(-1.0, 1.0);
                        assert_eq!(*g, code * mean as f32, "{}", spec.name);
                    }
                }
            }
            None if spec.name == "embed" => {
                assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 0.03));
            }
            None => assert_eq!(got, want, "{}", spec.name),
        }
    }
    let tokenizer = Tokenizer::bytes_only(config().vocab_size).unwrap();
    let params = |name: &str| full.tensors[name].clone();
    checkpoint::export(b.path(), &full.config, &tokenizer, &params, &BTreeMap::new()).unwrap();
    let read = |dir: &Path| fs::read(dir.join(MODEL_FILE)).unwrap();
    let (first, second) = (read(a.path()), read(b.path()));
    let codes = |bytes: &[u8]| {
        SafeTensors::deserialize(bytes).unwrap().tensor("layers.0.ffn.up").unwrap().data().to_vec()
    };
    assert_eq!(codes(&first), codes(&second));
}

#[test]
fn files_that_are_no_models_are_refused_with_a_reason() {
    const META: [(&str, &str); 2] = [("format", "bit-ttt 1"), ("model_id", "0123456789abcdef")];
    let refused = |what: &str, break_it: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 5);
        break_it(dir.path());
        let error = load(dir.path()).expect_err(what);
        assert!(error.contains(what), "{error:?} does not say {what:?}");
    };
    refused("model.safetensors", &|dir| fs::remove_file(dir.join(MODEL_FILE)).unwrap());
    refused("not a model file", &|dir| {
        let bytes = fs::read(dir.join(MODEL_FILE)).unwrap();
        fs::write(dir.join(MODEL_FILE), &bytes[..bytes.len() / 2]).unwrap();
    });
    refused("not a model file", &|dir| fs::write(dir.join(MODEL_FILE), [0xff; 100]).unwrap());
    refused("not a model file", &|dir| fs::write(dir.join(MODEL_FILE), []).unwrap());
    refused("at most", &|dir| {
        let file = fs::OpenOptions::new().write(true).open(dir.join(MODEL_FILE)).unwrap();
        file.set_len(1 << 30).unwrap();
    });
    refused("damaged", &|dir| {
        let mut bytes = fs::read(dir.join(MODEL_FILE)).unwrap();
        let embed =
            SafeTensors::deserialize(&bytes).unwrap().tensor("embed").unwrap().data().as_ptr();
        let at = embed as usize - bytes.as_ptr() as usize;
        bytes[at + 77] ^= 1;
        fs::write(dir.join(MODEL_FILE), bytes).unwrap();
    });
    refused("format \"bit-ttt 9\"", &|dir| {
        rewrite(dir, &[("format", "bit-ttt 9")], |_, _, _, _| true)
    });
    refused("no format", &|dir| rewrite(dir, &[], |_, _, _, _| true));
    refused("the file says", &|dir| rewrite(dir, &META, |_, _, _, _| true));
    refused("final_norm is missing", &|dir| rewrite(dir, &META, |n, _, _, _| n != "final_norm"));
    refused("expected F32 [128]", &|dir| {
        rewrite(dir, &META, |name, _, shape, data| {
            if name == "final_norm" {
                shape[0] = 64;
                data.truncate(256);
            }
            true
        });
    });
    refused("expected U8", &|dir| {
        rewrite(dir, &META, |name, dtype, _, _| {
            if name == "layers.0.ffn.up" {
                *dtype = safetensors::Dtype::I8;
            }
            true
        });
    });
    refused("weight code 3", &|dir| {
        rewrite(dir, &META, |name, _, _, data| {
            if name == "layers.0.ffn.up" {
                data[5] = 0b11;
            }
            true
        });
    });
    refused("has the value NaN", &|dir| {
        rewrite(dir, &META, |name, _, _, data| {
            if name == "layers.0.ffn.norm" {
                data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
            }
            true
        });
    });
    refused("has the value -1", &|dir| {
        rewrite(dir, &META, |name, _, _, data| {
            if name == "embed.scale" {
                data[..4].copy_from_slice(&(-1f32).to_le_bytes());
            }
            true
        });
    });
    refused("d_model", &|dir| {
        let json = fs::read_to_string(dir.join(CONFIG_FILE)).unwrap();
        fs::write(dir.join(CONFIG_FILE), json.replace("\"d_model\": 128", "\"d_model\": 100"))
            .unwrap();
    });
    refused("tokens, the model has 320", &|dir| {
        Tokenizer::bytes_only(384).unwrap().save(&dir.join(TOKENIZER_FILE)).unwrap();
    });
}

#[test]
fn an_export_with_wrong_values_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (cfg, good) = (config(), params(&config(), 1));
    let tokenizer = Tokenizer::bytes_only(cfg.vocab_size).unwrap();
    for (change, reason) in [(f32::NAN, "NaN"), (0.0, "values, expected")] {
        let values = |name: &str| {
            let mut values = good[name].clone();
            if name == "final_norm" {
                if change == 0.0 { values.push(0.0) } else { values[3] = change }
            }
            values
        };
        let error = checkpoint::export(dir.path(), &cfg, &tokenizer, &values, &BTreeMap::new());
        let error = error.expect_err(reason).to_string();
        assert!(error.contains(reason) && error.contains("final_norm"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
