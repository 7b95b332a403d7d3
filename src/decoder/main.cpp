// streamo-decoder: reads video and picture files for streamo, which starts it and gives it each
// file.
#include "video/worker/decoder_service.h"

int main() {
  return streamo::video::serve_decoding();
}
