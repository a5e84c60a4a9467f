//! The demonstration's surroundings: a whole fictional trust space in one folder, the inner mail
//! stores of its hospitals, and the third operator's Postfix.
//!
//! Everybody here is invented, and says so: family names end in `-TEST`, domains in `.test`, every
//! certificate is of the TEST category.

pub mod authorities;
pub mod cast;
pub mod endpoints;
mod extracts;
mod hospital;
pub mod inner_store;
pub mod letter;
mod maildir;
pub mod operator;
pub mod postfix;
pub mod practice;
pub mod space;
pub mod story;
mod trust_list;
