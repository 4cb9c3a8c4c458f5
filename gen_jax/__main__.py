import sys

from gen_jax import cli

sys.exit(cli.main())
