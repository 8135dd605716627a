#include "launch/cert.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "launch/certificates/authority.h"
#include "launch/certificates/site.h"
#include "launch/counted.h"
#include "launch/outside_text.h"
#include "transport/message.h"

namespace fedstill {
namespace {

using nlohmann::json;

json init(const CertCommand& c) {
  create_authority(c.folder, c.name.empty() ? "fedstill authority" : c.name,
                   static_cast<int>(c.days.value_or(3650)));
  json done = describe_certificate(c.folder / "ca.crt");
  done["done"] = "authority made: " + (c.folder / "ca.crt").string();
  done["next"] = "keep " + (c.folder / "ca.key").string() +
                 " offline; give ca.crt to every site, and revoked.txt to the coordinator";
  return done;
}

json request(const CertCommand& c) {
  if (c.name.empty()) throw UsageError("cert request: --name is missing");
  request_certificate(c.folder, c.name, c.role.empty() ? "client" : c.role);
  json done = describe_certificate(c.folder / "site.csr");
  done["done"] = "request made: " + (c.folder / "site.csr").string();
  done["next"] = "send site.csr to whoever runs the authority; site.key stays here";
  return done;
}

json sign(const CertCommand& c) {
  const auto out = c.out.empty() ? std::filesystem::path(c.file).replace_extension(".crt") : c.out;
  try {
    sign_request(c.folder, c.file, out, {c.role, c.hosts, static_cast<int>(c.days.value_or(365))});
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
  json done = describe_certificate(out);
  const std::string granted = done.at("role"), asked = describe_certificate(c.file).at("role");
  done["done"] =
      "signed: " + out.string() +
      (granted == asked ? "" : " for role " + granted + ", asked for: " + to_free_text(asked, 64));
  done["next"] = "send it back with ca.crt; the site runs fedstill cert install";
  return done;
}

json install(const CertCommand& c) {
  install_certificate(c.folder, c.file, c.authority);
  json done = describe_certificate(c.folder / "site.crt");
  done["done"] = "installed: " + (c.folder / "site.crt").string();
  return done;
}

json revoke_all(const CertCommand& c) {
  const auto prints = revoke(c.folder, c.file.string());
  json done{{"done", counted(std::ssize(prints), "certificate") + " revoked"}, {"revoked", prints}};
  done["next"] = "give " + (c.folder / "revoked.txt").string() +
                 " to the coordinator: it is re-read while it runs";
  return done;
}

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  std::string out;
  for (const auto& entry : value) out += (out.empty() ? "" : ", ") + entry.get<std::string>();
  return out;
}

json act(const CertCommand& command) {
  if (command.action == "init") return init(command);
  if (command.action == "request") return request(command);
  if (command.action == "sign") return sign(command);
  if (command.action == "install") return install(command);
  if (command.action == "revoke") return revoke_all(command);
  return describe_certificate(command.file);
}

}  // namespace

json run_cert(const CertCommand& command) {
  try {
    return act(command);
  } catch (const std::invalid_argument& error) {  // a name, a role, a number of days
    throw UsageError(error.what());
  }
}

std::string cert_text(const json& done) {
  std::string out;
  if (done.contains("done")) out += done["done"].get<std::string>() + "\n";
  for (const char* key : {"kind", "name", "role", "issuer", "valid_from", "valid_until", "names",
                          "fingerprint", "revoked"}) {
    if (!done.contains(key)) continue;
    const std::string value = text_of(done[key]);
    out += "  " + std::string(key) + std::string(13 - std::string_view(key).size(), ' ') +
           (value.empty() ? "–" : printable(value)) + "\n";
  }
  if (done.contains("next")) out += "next: " + done["next"].get<std::string>() + "\n";
  return out;
}

}  // namespace fedstill
