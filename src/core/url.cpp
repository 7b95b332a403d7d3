// Recognises URLs and removes credentials and query strings from them.
#include "core/url.h"

#include <algorithm>
#include <system_error>

namespace streamo::core {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSeparator = "://";
constexpr std::string_view kHidden = "***";
constexpr std::string_view kPunctuation = ":;,.)]";  // behind a URL in a text

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

// Whether what stands before the first slash or question mark is a host, perhaps with a port: then
// an '@' further on belongs to the path or the query.
bool is_host(std::string_view text) {
  const size_t port =
      text.find(':', text.starts_with('[') ? std::min(text.find(']'), text.size()) : 0);
  return port == text.npos || text.find_first_not_of("0123456789", port + 1) == text.npos;
}

// RFC 3986, 3.2: the authority ends at the path, the query or the fragment. A password may itself
// hold an unescaped '@' or '/', so the last '@' before the query counts; if one with a '?' or '#'
// cannot be told from a query, all is hidden.
std::string redact_url(std::string_view url) {
  const size_t authority = url.find(kSeparator) + kSeparator.size();
  const size_t query = std::min(url.find_first_of("?#", authority), url.size());
  const size_t path = std::min(url.find('/', authority), query);
  const bool has_host = is_host(url.substr(authority, path - authority));
  const size_t at = url.substr(0, query).rfind('@');
  const bool ends_in_doubt = url.find('@', query) != url.npos && (path == query || !has_host);
  const bool is_cut_off = at == url.npos && !has_host;  // "rtsp://me:pa" of a password with a blank
  if (ends_in_doubt || is_cut_off) {
    return std::string(url.substr(0, authority)) + std::string(kHidden);
  }
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
  std::string redacted;
  size_t done = 0;
  for (size_t from = 0;;) {
    const size_t separator = text.find(kSeparator, from);
    if (separator == std::string_view::npos) break;
    const size_t begin = std::max(done, scheme_begin(text, separator));
    size_t end = std::min(text.find_first_of(" \t\r\n\"'<>", begin), text.size());
    while (end > separator && kPunctuation.find(text[end - 1]) != kPunctuation.npos) --end;
    from = std::max(end, separator + kSeparator.size());
    redacted += text.substr(done, begin - done);
    redacted += redact_url(text.substr(begin, from - begin));
    done = from;
  }
  return redacted + std::string(text.substr(done));
}

std::string redact_source(const fs::path& source) {
  return is_url(source) ? redact_url(source.native()) : redact(source.native());
}

}  // namespace streamo::core
