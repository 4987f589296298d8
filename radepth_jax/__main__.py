"""`python -m radepth_jax` is the `radepth` command."""

from radepth_jax.cli.main import main

if __name__ == "__main__":
    main()
