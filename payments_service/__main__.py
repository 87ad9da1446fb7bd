"""`python -m payments_service` is the `payments` command."""

from payments_service.cli.app import main

main()
