#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>

#include <filesystem>
#include <vector>

namespace fedstill {

// The coordinator's SQLite file: its schema, and SQLite's errors made ours.
class Database {
 public:
  // Creates or opens, brings an older schema up to date, and checks the file. Throws
  // std::system_error (somebody else has it open, no permission), DecodeError (damaged, or of a
  // newer version). What is found damaged later is StoreDamaged.
  explicit Database(const std::filesystem::path& path);

  // One event, one transaction; on disk when it returns.
  template <typename Work>
  void transact(const Work& work) {
    checked([&] {
      SQLite::Transaction transaction(connection_);
      work();
      transaction.commit();
    });
  }
  // Within transact().
  template <typename... Values>
  void run(const char* sql, const Values&... values) {
    SQLite::Statement statement(connection_, sql);
    SQLite::bind(statement, values...);
    statement.exec();
  }
  template <typename... Values>
  void insert(const char* sql, const Values&... values) {
    transact([&] { run(sql, values...); });
  }

  template <typename Make, typename... Values>
  auto select(const char* sql, const Make& make, const Values&... values) const {
    return checked([&] {
      SQLite::Statement statement(connection_, sql);
      if constexpr (sizeof...(values) > 0) SQLite::bind(statement, values...);
      std::vector<decltype(make(statement))> found;
      while (statement.executeStep()) found.push_back(make(statement));
      return found;
    });
  }

 private:
  template <typename Work>
  auto checked(const Work& work) const {
    try {
      return work();
    } catch (const SQLite::Exception& error) {
      rethrow(path_, error);
    }
  }
  [[noreturn]] static void rethrow(const std::filesystem::path& path,
                                   const SQLite::Exception& error);
  static SQLite::Database open(const std::filesystem::path& path);
  void set_up();

  std::filesystem::path path_;
  SQLite::Database connection_;
};

}  // namespace fedstill
