"""The processes that mpiexec starts, which train one model together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import click

from .._engine.processes import ALONE, Processes

# The environment variables that mpiexec of MPICH (and its relatives) and of Open MPI set for each
# process.
VARIABLES = (("PMI_SIZE", "PMI_RANK"), ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"))


@contextmanager
def together() -> Iterator[Processes]:
    """Yield the processes that mpiexec started, or this one alone; only the first one prints.

    An error in any process ends all of them, and the first one reports it.
    """
    size, rank = started()
    if rank == 0:
        with join(size) as processes:
            yield processes
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            with join(size) as processes:
                yield processes
        except (Exception, KeyboardInterrupt):  # the first process reports the error
            sys.exit(1)


def started() -> tuple[int, int]:
    """Return how many processes mpiexec started, and the number of this one."""
    for size, rank in VARIABLES:
        if os.environ.get(size, "").isdigit():
            return int(os.environ[size]), int(os.environ.get(rank, "0"))
    return 1, 0


def join(size: int) -> Processes:
    """Return the processes of MPI, of which mpiexec started `size`."""
    if size == 1:
        return ALONE
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError if it finds no MPI library
        raise click.ClickException(
            f"mpiexec started {size} processes, which need mpi4py to train together: "
            f"pip install 'vaefast[mpi]' ({error})"
        ) from error
    if MPI.COMM_WORLD.Get_size() != size:
        raise click.ClickException(
            f"mpiexec started {size} processes, but mpi4py finds {MPI.COMM_WORLD.Get_size()}: they "
            "belong to different installations of MPI. Use the mpiexec of the MPI that mpi4py "
            f"uses, {MPI.Get_library_version().splitlines()[0].strip()}."
        )
    return Processes(MPI.COMM_WORLD)
