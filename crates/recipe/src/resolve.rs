//! From what was typed to what it means: every section, and what one section asks of another.

use std::path::Path;

use crate::data::options::RawData;
use crate::data::{Data, RegPairing};
use crate::model::Model;
use crate::network;
use crate::parse::dataset_config;
use crate::recipe::{RawRecipe, Recipe};
use crate::report::{Note, Problems, Report};

/// A recipe that makes sense, and what its author should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The recipe.
    pub recipe: Recipe,
    /// Options without effect and defaults that matter.
    pub notes: Vec<Note>,
}

impl RawRecipe {
    /// Checks the options against each other and fills in defaults; a seed that is not given is drawn here.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn resolve(&self) -> Result<Resolved, Problems> {
        let mut report = Report::default();
        let recipe = self.resolve_into(&mut report);
        if report.problems.is_empty() {
            Ok(Resolved { recipe, notes: report.notes })
        } else {
            Err(Problems(report.problems))
        }
    }

    /// The recipe, of use only if `report` holds no problem afterwards.
    pub(crate) fn resolve_into(&self, report: &mut Report) -> Recipe {
        let model = self.model.resolve(report);
        let mut data = self.resolve_data(&model, report);
        let family = model.family;
        let network = self.network.resolve(family, report);
        let caches = self.caches.resolve(&data, network.scope, report);
        let optim = self.optim.resolve(network.scope, family, report);
        network::check_rates(&self.network, &network, &optim.optimizer, report);
        let diffusion = self.diffusion.resolve(report);
        let prior = self.prior.resolve(data.has_reg(), &caches, report);
        let train = self.train.resolve(report);
        let output = self.output.resolve(report);
        let validation = self.validation.resolve(&data, report);
        let judging = self.judging.resolve(data.holds_out(), report);
        let samples = self.samples.resolve(report);
        data.split_by(train.seed);
        Recipe { model, data, caches, network, diffusion, prior, optim, train, validation, judging, output, samples }
    }

    fn resolve_data(&self, model: &Model, report: &mut Report) -> Data {
        if self.caches.cache_latents_to_disk == Some(true) && self.data.cache_latents != Some(true) {
            // Latents on disk are kept latents, as in sd-scripts.
            let data = RawData { cache_latents: Some(true), ..self.data.clone() };
            return Self { data, ..self.clone() }.resolve_data(model, report);
        }
        match &self.data.dataset_config {
            Some(file) => self.resolve_dataset_config(file, model, report),
            None => self.resolve_folders(model, report),
        }
    }

    /// The images of `--train_data_dir` and `--reg_data_dir`.
    fn resolve_folders(&self, model: &Model, report: &mut Report) -> Data {
        let captions = self.captions.resolve(report);
        let mut data = self.data.resolve(model, captions, report);
        data.hold_out = self.validation.hold_out(report);
        if data.reg_pairing == RegPairing::SameName && !data.has_reg() {
            report.note("reg_pairing", "has no effect without --reg_data_dir");
        }
        data
    }

    /// The images of a `--dataset_config`.
    fn resolve_dataset_config(&self, file: &Path, model: &Model, report: &mut Report) -> Data {
        // What stands outside the file is reported with the folders that it is for.
        let mut unused = Report::default();
        let captions = self.captions.resolve(&mut unused);
        let mut data = self.data.resolve(model, captions, &mut unused);
        data.hold_out = self.validation.hold_out(&mut unused);
        data.config = Some(dataset_config::read(file, self, report));
        if data.reg_pairing == RegPairing::SameName && !data.has_reg() {
            report.note("reg_pairing", "has no effect without a subset with is_reg");
        }
        data
    }
}
