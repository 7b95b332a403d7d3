// streamo-decoder: decodes video and image files for streamo, which starts it and passes it each
// file.
#include "video/worker/decoder_service.h"

int main() {
  return streamo::video::serve_decoding();
}
