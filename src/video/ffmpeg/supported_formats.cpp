// The whitelists of containers and codecs; docs/data.md lists them for people.
#include "video/ffmpeg/supported_formats.h"

extern "C" {
#include <libavutil/avstring.h>
}

namespace streamo::video {
namespace {

// Containers, streams without one, and pictures. None of them leads to other files.
constexpr const char* kFormats =
    "mov,matroska,avi,flv,live_flv,mpegts,mpeg,asf,ogg,nut,mxf,mxg,gxf,ivf,dv,rm,wtv,yuv4mpegpipe,"
    "h261,h263,h264,hevc,vvc,av1,obu,vc1,vc1test,cavsvideo,dirac,dnxhd,m4v,mpegvideo,mjpeg,mjpeg_"
    "2000,"
    "gif,apng,image2,png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,webp_pipe,webp_anim,gif_pipe,j2k_pipe,"
    "jpegls_pipe,jpegxl_pipe,jpegxl_anim,pam_pipe,pbm_pipe,pgm_pipe,ppm_pipe,qoi_pipe,sgi_pipe,"
    "sunrast_pipe";
// Of a URL, also those that lead to other URLs.
constexpr const char* kNetworkFormats = "hls,dash,rtsp,rtp,sdp,rtmp";

constexpr const char* kDecoders =
    "h261,h263,h263i,h263p,h264,hevc,vvc,libvvdec,av1,libdav1d,libaom-av1,vp3,vp4,vp5,vp6,vp6a,"
    "vp6f,"
    "vp7,vp8,vp9,libvpx,libvpx-vp9,theora,mpeg1video,mpeg2video,mpegvideo,mpeg4,msmpeg4v1,"
    "msmpeg4v2,"
    "msmpeg4,wmv1,wmv2,wmv3,vc1,flv,svq1,svq3,rv10,rv20,rv30,rv40,cavs,dirac,cinepak,msvideo1,"
    "dvvideo,prores,prores_raw,dnxhd,cfhd,hap,ffv1,ffvhuff,huffyuv,utvideo,magicyuv,lagarith,qtrle,"
    "rawvideo,v210,v308,v408,v410,r10k,r210,ayuv,yuv4,mjpeg,mjpegb,png,apng,gif,bmp,tiff,webp,"
    "webp_anim,jpeg2000,libopenjpeg,jpegls,libjxl,libjxl_anim,pam,pbm,pgm,ppm,qoi,sgi,sunrast,"
    "targa";
// FFmpeg opens these while it finds out what a file holds, though only pictures are wanted.
constexpr const char* kSoundAndText =
    "aac,aac_fixed,aac_latm,ac3,ac3_fixed,eac3,dca,truehd,mlp,mp1,mp1float,mp2,mp2float,mp3,"
    "mp3float,"
    "opus,libopus,vorbis,libvorbis,flac,alac,speex,libspeex,wmav1,wmav2,wmapro,wmalossless,"
    "wmavoice,"
    "amrnb,amrwb,cook,ra_144,ra_288,real_144,real_288,sipr,nellymoser,qdm2,qdmc,gsm,gsm_ms,libgsm,"
    "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd,pcm_f32be,"
    "pcm_f32le,pcm_f64be,pcm_f64le,pcm_s16be,pcm_s16be_planar,pcm_s16le,pcm_s16le_planar,pcm_s24be,"
    "pcm_s24le,pcm_s24le_planar,pcm_s32be,pcm_s32le,pcm_s32le_planar,pcm_s8,pcm_u8,s302m,ssa,ass,"
    "srt,"
    "subrip,webvtt,mov_text,text,dvbsub,dvdsub,pgssub,cc_dec";

}  // namespace

std::string supported_formats(bool of_network) {
  return of_network ? std::string(kFormats) + "," + kNetworkFormats : kFormats;
}

std::string supported_decoders() {
  return std::string(kDecoders) + "," + kSoundAndText;
}

bool is_supported(const AVInputFormat& format, bool of_network) {
  return av_match_list(format.name, supported_formats(of_network).c_str(), ',') != 0;
}

bool is_supported(const AVCodec& decoder) {
  return av_match_list(decoder.name, kDecoders, ',') != 0;
}

}  // namespace streamo::video
