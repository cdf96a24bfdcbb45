//! The binary as operators use it: a process, its output, its exit code.

mod admins;
mod audit;
mod backups;
mod doctor;
mod encryption;
mod import;
mod mac_app;
mod migrations;
mod refusals;
mod roles;
mod serving;
mod subtle;
