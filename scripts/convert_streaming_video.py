#!/usr/bin/env python3
"""Convert annotations between formats; calls the built program, `streamo convert`, which does the work.

  to-stream   raw annotations (video_path, question, response) -> one user turn and one state a second
  to-image    that stream format -> the same with the frames as PNG files

Usage:
  python scripts/convert_streaming_video.py to-stream --input raw_data.json --output stream_format.json
  python scripts/convert_streaming_video.py to-image --input stream_format.json --output image_format.json \\
      --frame-dir frames

The environment variable STREAMO_BINARY names another program than build/streamo. The exit code is that of the
program: 0 done, 2 usage, 11 data, 14 disk.
"""
import argparse
import os
import pathlib
import subprocess
import sys


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{to-stream,to-image}")
    to_stream = commands.add_parser("to-stream", help="raw annotations -> stream format")
    to_image = commands.add_parser("to-image", help="stream format -> frames as PNG files")
    for command in (to_stream, to_image):
        command.add_argument("--input", required=True, help="JSON array, JSON Lines or one object")
        command.add_argument("--output", required=True, help="written in the layout of the input")
        command.add_argument("--fps", help="turns a second of video (default 1.0)")
        command.add_argument("--num-workers", help="videos read at the same time")
    to_stream.add_argument("--video-prefix", help="in front of relative video paths")
    to_stream.add_argument("--system-prompt", help="first message of every conversation")
    to_image.add_argument("--frame-dir", required=True, help="a folder for each video is made in it")
    to_image.add_argument("--max-frames", help="keep only the rounds of the first N frames")
    return parser.parse_args()


def find_program():
    root = pathlib.Path(__file__).resolve().parent.parent
    program = pathlib.Path(os.environ.get("STREAMO_BINARY") or root / "build" / "streamo")
    if not os.access(program, os.X_OK) or program.is_dir():
        sys.exit(f"error: {program}: the program is not built\n"
                 f"  hint: run `cd {root} && bash scripts/setup.sh && bash scripts/build.sh`, or set STREAMO_BINARY")
    return program


def main():
    arguments = vars(parse_arguments())
    command = [str(find_program()), "convert", arguments.pop("command")]
    # In one word each, so that a value may begin with a dash.
    command += [f"--{name.replace('_', '-')}={value}"
                for name, value in arguments.items() if value is not None]
    try:
        code = subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:  # the program got it too and has cleaned up
        code = 130
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
