#include "launch/cert.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "launch/certificates/authority.h"
#include "launch/certificates/site.h"
#include "launch/certificates/x509.h"
#include "tests/launch/temp_folder.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using x509::CertificateError;

class Certificates : public ::testing::Test {
 protected:
  Certificates() { create_authority(authority(), "Test authority", 10); }

  std::filesystem::path authority() const { return folder_ / "authority"; }
  std::filesystem::path site(const std::string& name) const { return folder_ / name; }
  std::filesystem::path signed_one(const std::string& name) const {
    return folder_ / (name + ".crt");
  }
  std::string sign(const std::string& name, const SignOptions& options = {}) const {
    return sign_request(authority(), site(name) / "site.csr", signed_one(name), options);
  }
  void admit(const std::string& name, const std::string& role, const SignOptions& options) const {
    request_certificate(site(name), name, role);
    sign(name, options);
    install_certificate(site(name), signed_one(name), authority() / "ca.crt");
  }
  // The openssl program as an independent reader.
  int openssl(const std::string& arguments) const {
    return std::system(
        ("openssl " + arguments + " > '" + (folder_ / "out").string() + "' 2>&1").c_str());
  }
  std::string output() const {
    std::ifstream in(folder_ / "out");
    return {std::istreambuf_iterator<char>(in), {}};
  }

  tests::TempFolder folder_;
};

TEST_F(Certificates, AreWhatOpensslExpects) {
  admit("hub", "coordinator", {"coordinator", {"localhost", "127.0.0.1", "::1"}, 5});
  const std::string chain =
      "'" + (authority() / "ca.crt").string() + "' '" + (site("hub") / "site.crt").string() + "'";
  EXPECT_EQ(openssl("verify -x509_strict -purpose sslserver -verify_ip 127.0.0.1 -CAfile " + chain),
            0)
      << output();
  EXPECT_NE(openssl("verify -verify_hostname elsewhere.example -CAfile " + chain), 0);
  openssl("x509 -noout -subject -ext subjectAltName,extendedKeyUsage -in '" +
          (site("hub") / "site.crt").string() + "'");
  EXPECT_THAT(output(), HasSubstr("OU = coordinator, CN = hub"));
  EXPECT_THAT(output(),
              HasSubstr("DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"));
}

TEST_F(Certificates, DescribeThemselves) {
  admit("hub", "coordinator", {"coordinator", {"localhost", "10.1.2.3", "fe80::1"}, 5});
  const auto found = describe_certificate(site("hub") / "site.crt");
  EXPECT_EQ(found["name"], "hub");
  EXPECT_EQ(found["role"], "coordinator");
  EXPECT_EQ(found["issuer"], "Test authority");
  EXPECT_EQ(found["names"][0], "DNS:localhost");
  EXPECT_EQ(found["names"][1], "IP:10.1.2.3");
  EXPECT_EQ(found["names"][2], "IP:fe80:0:0:0:0:0:0:1");
  EXPECT_EQ(describe_certificate(site("hub") / "site.csr")["kind"], "request");
  EXPECT_EQ(describe_certificate(site("hub")), found);
  EXPECT_EQ(describe_certificate(authority())["name"], "Test authority");
  request_certificate(site("new"), "new", "client");
  EXPECT_EQ(describe_certificate(site("new"))["kind"], "request");
  EXPECT_THROW(describe_certificate(site("new").parent_path()), x509::CertificateError);
}

TEST_F(Certificates, AClientsCertificateCannotServe) {
  admit("a", "client", {});
  EXPECT_NE(openssl("verify -purpose sslserver -CAfile '" + (authority() / "ca.crt").string() +
                    "' '" + (site("a") / "site.crt").string() + "'"),
            0);
}

TEST_F(Certificates, KeysAreReadableByTheirOwnerAlone) {
  request_certificate(site("a"), "a", "client");
  for (const auto& key : {authority() / "ca.key", site("a") / "site.key"}) {
    struct stat status {};
    ASSERT_EQ(::stat(key.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U) << key;
  }
}

TEST_F(Certificates, MoreThanClientHasToBeGranted) {
  request_certificate(site("a"), "a", "admin");
  EXPECT_THROW(sign("a"), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(signed_one("a")));
  sign("a", {"client", {}, 1});  // less than asked for
  EXPECT_EQ(describe_certificate(signed_one("a"))["role"], "client");
}

TEST_F(Certificates, AnotherRoleThanAskedForIsTold) {
  request_certificate(site("a"), "a", "client");
  CertCommand command;
  command.action = "sign";
  command.folder = authority();
  command.file = site("a") / "site.csr";
  command.out = signed_one("a");
  EXPECT_THAT(std::string(run_cert(command)["done"]), Not(HasSubstr("asked")));
  command.role = "admin";
  EXPECT_THAT(std::string(run_cert(command)["done"]),
              HasSubstr("for role admin, asked for: client"));
}

TEST_F(Certificates, ACoordinatorNeedsAName) {
  request_certificate(site("hub"), "hub", "coordinator");
  EXPECT_THROW(sign("hub", {"coordinator", {}, 1}), std::invalid_argument);
  EXPECT_THROW(sign("hub", {"coordinator", {"a,DNS:b"}, 1}), std::invalid_argument);
  EXPECT_THROW(sign("hub", {"coordinator", {"hub.example.org:7443"}, 1}), std::invalid_argument);
}

TEST_F(Certificates, NamesAndRolesAreChecked) {
  EXPECT_THROW(request_certificate(site("x"), "../x", "client"), std::invalid_argument);
  EXPECT_THROW(request_certificate(site("x"), "x", "king"), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(site("x") / "site.key"));
}

TEST_F(Certificates, AnAuthorityWithAnothersKeySignsNothing) {
  create_authority(folder_ / "other", "Other", 10);
  std::filesystem::copy_file(folder_ / "other" / "ca.key", authority() / "ca.key",
                             std::filesystem::copy_options::overwrite_existing);
  request_certificate(site("a"), "a", "client");
  EXPECT_THROW(sign("a"), CertificateError);
  EXPECT_FALSE(std::filesystem::exists(signed_one("a")));
}

TEST_F(Certificates, ACertificateOfAnotherKeyIsNotInstalled) {
  request_certificate(site("a"), "a", "client");
  admit("b", "client", {});
  EXPECT_THROW(install_certificate(site("a"), signed_one("b"), authority() / "ca.crt"),
               CertificateError);
  EXPECT_FALSE(std::filesystem::exists(site("a") / "site.crt"));
}

TEST_F(Certificates, ACertificateOfAnotherAuthorityIsNotInstalled) {
  create_authority(folder_ / "other", "Other", 10);
  request_certificate(site("a"), "a", "client");
  sign("a");
  EXPECT_THROW(install_certificate(site("a"), signed_one("a"), folder_ / "other" / "ca.crt"),
               CertificateError);
}

TEST_F(Certificates, ARequestThatWasChangedIsNotSigned) {
  request_certificate(site("a"), "a", "client");
  request_certificate(site("b"), "b", "client");
  // The request of a with the name of b: same length, other bytes under the signature.
  openssl("req -in '" + (site("a") / "site.csr").string() + "' -outform DER -out '" +
          (folder_ / "der").string() + "'");
  std::fstream der(folder_ / "der", std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(der), {}};
  const auto at = bytes.find("client");
  ASSERT_NE(at, std::string::npos);
  der.clear();
  der.seekp(static_cast<std::streamoff>(at));
  der << "cliens";
  der.close();
  openssl("req -inform DER -in '" + (folder_ / "der").string() + "' -out '" +
          (site("a") / "site.csr").string() + "'");
  EXPECT_THROW(sign("a", {"client", {}, 1}), CertificateError);
}

TEST_F(Certificates, RevokingByNameTakesAllOfIt) {
  request_certificate(site("a"), "a", "client");
  const std::string first = sign("a"), second = sign("a");
  EXPECT_THAT(revoke(authority(), "a"), ::testing::UnorderedElementsAre(first, second));
  EXPECT_TRUE(revoke(authority(), first).empty());  // once is enough
  EXPECT_THROW(revoke(authority(), "nobody"), CertificateError);
  std::ifstream list(authority() / "revoked.txt");
  const std::string text{std::istreambuf_iterator<char>(list), {}};
  EXPECT_THAT(text, HasSubstr(first + "\n"));
  EXPECT_THAT(text, HasSubstr(second + "\n"));
}

TEST_F(Certificates, AnAuthorityIsNotOverwritten) {
  EXPECT_THROW(create_authority(authority(), "Again", 10), CertificateError);
}

TEST_F(Certificates, OtherFilesAreNamed) {
  std::ofstream(folder_ / "text") << "hello";
  try {
    describe_certificate(folder_ / "text");
    FAIL();
  } catch (const CertificateError& error) {
    EXPECT_THAT(error.what(), HasSubstr("text is not a certificate"));
  }
}

}  // namespace
}  // namespace fedstill
