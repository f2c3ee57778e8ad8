//! What a launcher of several processes (mpirun, srun) tells each of them by environment variables.

/// A launcher's variables for the number of a process and the number of processes: Open MPI, then MPICH, Intel MPI and
/// Slurm with PMIx.
const WORLD: [(&str, &str); 2] = [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE")];

/// A launcher's variables for the number of a process among those of its machine.
const LOCAL: [&str; 3] = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"];

/// This process's rank; `None` if it was launched by itself, or as the only one.
pub fn launched() -> Option<usize> {
    for (rank, size) in WORLD {
        if number(size).is_some_and(|size| size > 1)
            && let Some(rank) = number(rank)
        {
            return Some(rank);
        }
    }
    None
}

/// This process's rank among those of its machine, where launchers tell: of several GPUs it takes the one of that number.
pub fn local_rank() -> Option<usize> {
    launched()?;
    LOCAL.into_iter().find_map(number)
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}
