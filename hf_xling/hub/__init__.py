"""What goes to the Hub: facts become cards."""
