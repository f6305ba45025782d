"""The county hub: takes what kits send, routes it to a specialist in time, and brings the signed report back."""
