//! The demo: toy upstream and seeded accounts.
