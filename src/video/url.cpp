#include "streamo/video/url.h"

#include <algorithm>
#include <system_error>

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSeparator = "://";
constexpr std::string_view kHidden = "***";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_scheme_char(char c) {  // RFC 3986, 3.1
  return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

// Where the scheme begins that ends at `separator`; `separator` itself when there is none.
size_t scheme_begin(std::string_view text, size_t separator) {
  size_t begin = separator;
  while (begin > 0 && is_scheme_char(text[begin - 1])) --begin;
  while (begin < separator && !is_letter(text[begin])) ++begin;
  return begin;
}

// RFC 3986, 3.2: the authority ends at the path, the query or the fragment. A password may itself
// hold an unescaped '@' or '/', so the last '@' before the query counts.
std::string redact_url(std::string_view url) {
  const size_t authority = url.find(kSeparator) + kSeparator.size();
  const size_t query = std::min(url.find_first_of("?#", authority), url.size());
  const size_t at = url.substr(0, query).rfind('@');
  std::string redacted(url.substr(0, authority));
  size_t rest = authority;
  if (at != std::string_view::npos && at >= authority) {
    redacted += kHidden;
    rest = at;
  }
  redacted += url.substr(rest, query - rest);
  if (query < url.size()) {
    redacted += url[query];
    redacted += kHidden;
  }
  return redacted;
}

}  // namespace

fs::path local_file(const fs::path& source) {
  constexpr std::string_view kFile = "file://";
  const std::string& name = source.native();
  return name.starts_with(kFile) ? fs::path(name.substr(kFile.size())) : source;
}

bool is_url(const fs::path& source) {
  const std::string& name = source.native();
  const size_t separator = name.find(kSeparator);
  if (separator == std::string::npos || separator == 0 || scheme_begin(name, separator) != 0) {
    return false;
  }
  std::error_code error;
  return !name.starts_with("file://") && !fs::exists(source, error);
}

std::string redact(std::string_view text) {
  // A blank belongs to a text that is one URL, and ends a URL within a text.
  const bool is_one_url = is_url(std::string(text));
  std::string redacted;
  size_t done = 0;
  for (size_t from = 0;;) {
    const size_t separator = text.find(kSeparator, from);
    if (separator == std::string_view::npos) break;
    const size_t begin = std::max(done, scheme_begin(text, separator));
    const size_t end =
        is_one_url ? text.size() : std::min(text.find_first_of(" \t\r\n\"'<>", begin), text.size());
    redacted += text.substr(done, begin - done);
    redacted += redact_url(text.substr(begin, end - begin));
    from = done = end;
  }
  return redacted + std::string(text.substr(done));
}

}  // namespace streamo::video
