"""Random commands beside redis-server: grammar.py makes them, session.py runs them, rules.py explains differences."""
