//! Ancestral steps: down below the next noise level, and up again with fresh noise (k-diffusion's `get_ancestral_step`).

/// Where an ancestral step leads.
pub(super) struct Ancestral {
    /// The level that the deterministic part leads to.
    pub(super) down: f64,
    /// The strength of the noise that leads up to the next level.
    pub(super) up: f64,
}

impl Ancestral {
    /// The step from level `from` to level `to` with `eta` of the possible noise.
    pub(super) fn new(from: f64, to: f64, eta: f64) -> Self {
        let most = (to * to * (from * from - to * to).max(0.0) / (from * from)).sqrt();
        let up = (eta * most).min(to);
        Self { down: (to * to - up * up).max(0.0).sqrt(), up }
    }
}
