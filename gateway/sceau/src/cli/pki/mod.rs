//! `sceau pki`: certificates, paths, trust lists.

mod anchors;
mod claimed;
mod describe;
mod difference;
mod postfix;
mod request;
mod show;
mod trust_list;
mod verify;

use super::Exit;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Judge a certificate: does a valid path lead to an anchor, for this purpose, at this moment?
    Verify(Box<verify::Args>),
    /// Show what certificates and revocation lists say
    Show(show::Args),
    /// Make the certification request that the national profiles want
    Request(Box<request::Args>),
    /// The pinned roots
    #[command(subcommand)]
    Anchors(anchors::Order),
    /// The signed list of trusted domains
    #[command(subcommand)]
    TrustList(trust_list::Order),
}

pub(super) fn run(args: Args) -> Exit {
    let outcome = match args.order {
        Order::Verify(order) => verify::run(&order, args.json),
        Order::Show(order) => show::run(&order, args.json),
        Order::Request(order) => request::run(&order, args.json),
        Order::Anchors(order) => anchors::run(&order, args.json),
        Order::TrustList(order) => trust_list::run(&order, args.json),
    };
    outcome.unwrap_or_else(|problem| super::material::report(&problem))
}
