#include "launch/command_line_sites.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <stdexcept>

#include "launch/command_line_options.h"
#include "transport/tls/endpoint.h"

namespace fedstill {
namespace {

CLI::Validator an_endpoint() { return checked_by(parse_endpoint, "HOST:PORT"); }

CLI::Validator a_rate() { return CLI::Range(std::int64_t{1024}, std::int64_t{1} << 50); }

constexpr const char* kAuthority = "folder of the authority";
constexpr const char* kSite = "folder of the site's identity";

CLI::App& add_action(CLI::App& cert, CertCommand& c, const char* name, const char* what,
                     const char* folder) {
  CLI::App& action = *cert.add_subcommand(name, what);
  if (folder != nullptr) action.add_option("folder", c.folder, folder)->required();
  add_json(action, c.json);
  return action;
}

void add_authority_actions(CLI::App& cert, CertCommand& c) {
  CLI::App& init = add_action(cert, c, "init", "make the federation's own authority", kAuthority);
  init.add_option("--name", c.name, "what it is called in certificates");
  init.add_option("--days", c.days, "how long it is valid (default: 3650)");
  CLI::App& sign = add_action(cert, c, "sign", "at the authority: sign a request", kAuthority);
  sign.add_option("request", c.file, "the site.csr that came from the site")->required();
  sign.add_option("--out", c.out, "the certificate (default: beside the request)");
  sign.add_option("--role", c.role, "needed to grant coordinator or admin");
  add_repeated(sign, "--host", c.hosts, "name or address of a coordinator; may be repeated");
  sign.add_option("--days", c.days, "how long it is valid (default: 365)");
  CLI::App& revoke =
      add_action(cert, c, "revoke", "at the authority: take a certificate back", kAuthority);
  revoke.add_option("whom", c.file, "a name, a certificate file or a fingerprint")->required();
}

void add_site_actions(CLI::App& cert, CertCommand& c) {
  CLI::App& request =
      add_action(cert, c, "request", "at a site: make a key and ask for a certificate", kSite);
  request.add_option("--name", c.name, "name of this participant")->required();
  request.add_option("--role", c.role, "client (default), coordinator or admin");
  CLI::App& install =
      add_action(cert, c, "install", "at a site: put the signed certificate beside its key", kSite);
  install.add_option("certificate", c.file, "what the authority signed")->required();
  install.add_option("authority", c.authority, "the authority's ca.crt")->required();
  CLI::App& show = add_action(cert, c, "show", "what a certificate or a request says", nullptr);
  show.add_option("file", c.file, "certificate or request")->required();
}

void add_cert(CLI::App& root, CertCommand& c) {
  CLI::App& app = *root.add_subcommand("cert", "certificates: who may take part, and as what");
  app.require_subcommand(1);
  add_authority_actions(app, c);
  add_site_actions(app, c);
}

template <typename Asking>
void add_whom(CLI::App& app, Asking& c) {
  app.add_option("--coordinator", c.coordinator, "of the coordinator")
      ->required()
      ->check(an_endpoint());
  app.add_option("--proxy", c.proxy,
                 "HTTP proxy on the way there; FEDSTILL_PROXY_AUTHORIZATION=user:password")
      ->check(an_endpoint());
  app.add_option("--revoked", c.revoked, "the authority's revoked.txt: coordinators to refuse");
  add_identity(app, c.identity);
}

void add_coordinator(CLI::App& root, CoordinatorCommand& c) {
  CLI::App& app = *root.add_subcommand("coordinator", "run the job of many sites over mutual TLS");
  app.add_option("job", c.job, "job file (TOML); without one the preset is run");
  app.add_option("--state", c.state, "folder for all that must survive; the same again goes on")
      ->required();
  app.add_option("--listen", c.listen, "default: 0.0.0.0:7443")->check(an_endpoint());
  add_identity(app, c.identity);
  app.add_option("--revoked", c.revoked, "the authority's revoked.txt; re-read while running");
  app.add_option("--monitor", c.monitor, "port on loopback for /metrics and /health")
      ->check(CLI::Range(1, 65535));
  add_device(app, c.device);
  app.add_option("--allowed", c.allowed,
                 "names of clients that may take part, one a line; re-read");
  app.add_flag("--wait-on-failure", c.wait_on_failure,
               "when a round fails, wait for `fedstill reopen` instead of ending");
  auto* upstream = app.add_option("--upstream", c.upstream, "a coordinator this one is a client of")
                       ->check(an_endpoint());
  auto* as_whom =
      app.add_option("--upstream-identity", c.upstream_identity, "folder of its identity there");
  upstream->needs(as_whom);
  as_whom->needs(upstream);
  app.add_option("--upstream-proxy", c.upstream_proxy, "HTTP proxy on the way there")
      ->check(an_endpoint())
      ->needs(upstream);
  app.add_option("--bytes-per-second", c.bytes_per_second,
                 "limit of each client each way (default: none)")
      ->check(a_rate());
  add_log(app, c.log, c.log_level);
  add_preset(app, c.preset);
  add_assignments(app, c.assignments);
  add_quiet(app, c.quiet);
  add_json(app, c.json);
}

void add_client(CLI::App& root, ClientCommand& c) {
  CLI::App& app = *root.add_subcommand("client", "take part in a job with a site's own images");
  add_whom(app, c);
  app.add_option("--data", c.data, "labelled images: idx:DIR, or a source as in a job")->required();
  app.add_option("--model", c.model,
                 "architecture to train, for example resnet8, or a model file to go on from")
      ->required();
  app.add_option("--state", c.state, "folder for what must survive and for the bundle")->required();
  app.add_option("--mode", c.mode, "what leaves the site: its model, or predictions of the pool")
      ->check(CLI::IsMember({"model", "predictions"}));
  app.add_option("--threads", c.threads, "for training (default: all cores)")
      ->check(CLI::Range(1, 4096));
  add_device(app, c.device);
  app.add_option("--bytes-per-second", c.bytes_per_second, "limit each way (default: none)")
      ->check(a_rate());
  add_log(app, c.log, c.log_level);
  add_quiet(app, c.quiet);
  add_json(app, c.json);
}

void add_preflight(CLI::App& root, PreflightCommand& c) {
  CLI::App& app = *root.add_subcommand("preflight", "what would keep this site from taking part");
  add_whom(app, c);
  app.add_option("--data", c.data, "labelled images: idx:DIR, or a source as in a job");
  app.add_option("--state", c.state, "folder the client will use");
  add_json(app, c.json);
}

constexpr const char* kQuestions[][2] = {{"status", "who takes part, and how far everybody is"},
                                         {"rounds", "how every round went"},
                                         {"clients", "who ever joined, with what"}};
struct Order {
  const char *name, *what, *argument, *argument_is;  // both null: none
};
constexpr Order kOrders[] = {
    {"exclude", "take a client out of the job; what it sent counts no more in an open round",
     "client", "its name, as in its certificate"},
    {"readmit", "take an excluded client back", "client", "its name, as in its certificate"},
    {"reopen", "let a failed round collect again, with what it has", nullptr, nullptr},
    {"log-level", "how much a coordinator with --log writes", "level",
     "debug, info, warning or error"},
    {"stop", "stop a coordinator; its state stays", nullptr, nullptr}};

void add_admin(CLI::App& root, AdminCommand& c) {
  for (const auto& [name, what] : kQuestions) {
    CLI::App& app = *root.add_subcommand(name, what);
    add_whom(app, c);
    app.add_flag("--watch,-w", c.watch, "again every second");
    add_json(app, c.json);
  }
  for (const Order& order : kOrders) {
    CLI::App& app = *root.add_subcommand(order.name, order.what);
    if (order.argument != nullptr) {
      app.add_option(order.argument, c.argument, order.argument_is)->required();
    }
    add_whom(app, c);
    add_json(app, c.json);
  }
}

bool asks_a_coordinator(const std::string& name) {
  return std::ranges::any_of(kQuestions, [&](const auto& row) { return row[0] == name; }) ||
         std::ranges::any_of(kOrders, [&](const Order& order) { return order.name == name; });
}

void add_audit(CLI::App& root, AuditCommand& c) {
  CLI::App& app = *root.add_subcommand("audit", "what left this site, and what came");
  app.require_subcommand(1);
  CLI::App& verify = *app.add_subcommand("verify", "check that no line was changed or removed");
  verify.add_option("file", c.file, "audit.jsonl of a state folder")->required();
  add_json(verify, c.json);
}

void add_shards(CLI::App& root, ShardsCommand& c) {
  CLI::App& app = *root.add_subcommand(
      "shards", "write each client's images of a job into a folder, to try many processes");
  app.add_option("job", c.job, "job file (TOML); without one the preset is dealt out");
  add_preset(app, c.preset);
  app.add_option("--out", c.out, "folder for the clients' folders")->required();
  add_assignments(app, c.assignments);
  add_json(app, c.json);
}

}  // namespace

void add_site_commands(CLI::App& root, SiteCommands& commands) {
  add_coordinator(root, commands.coordinator);
  add_client(root, commands.client);
  add_preflight(root, commands.preflight);
  add_admin(root, commands.admin);
  add_audit(root, commands.audit);
  add_shards(root, commands.shards);
  add_cert(root, commands.cert);
}

std::optional<Command> chosen_site_command(const CLI::App& root, const SiteCommands& commands) {
  if (root.got_subcommand("coordinator")) return commands.coordinator;
  if (root.got_subcommand("client")) return commands.client;
  if (root.got_subcommand("preflight")) return commands.preflight;
  if (const auto chosen = root.get_subcommands();
      !chosen.empty() && asks_a_coordinator(chosen.front()->get_name())) {
    AdminCommand admin = commands.admin;
    admin.what = chosen.front()->get_name();
    return admin;
  }
  if (root.got_subcommand("audit")) return commands.audit;
  if (root.got_subcommand("shards")) return commands.shards;
  if (!root.got_subcommand("cert")) return std::nullopt;
  CertCommand cert = commands.cert;
  cert.action = root.get_subcommand("cert")->get_subcommands().front()->get_name();
  return cert;
}

}  // namespace fedstill
