#!/usr/bin/env python3
"""Raw annotations -> stream format by the rules of docs/data.md, written independently of the C++ code.

usage: conversion_oracle.py RAW.json TURNS FPS      every video is taken to have TURNS turns; prints JSON
"""
import json
import re
import sys


def turn_of(time, fps):
    """Index of the turn a time names; None when it is absent or unreadable."""
    if time is None or isinstance(time, bool):
        return None
    if isinstance(time, (int, float)):
        count = int(time)
    elif re.fullmatch(r"[+-]?\d+", time.strip()):
        count = int(time)
    elif re.fullmatch(r"(\d+:)?\d+:\d+(\.\d*)?", time.strip()):
        parts = [float(part) for part in time.split(":")]
        count = int(sum(part * 60**power for power, part in enumerate(reversed(parts))) * fps)
    else:
        try:
            count = int(float(time) * fps)
        except ValueError:
            return None
    return max(0, count - 1)


def states(record, turns, fps):
    table = ["</Silence>"] * turns
    for response in record["response"]:
        start, end, at = (turn_of(response.get(key), fps) for key in ("st_time", "end_time", "time"))
        if start is not None and end is not None:
            table[start : end + 1] = ["</Standby>"] * len(table[start : end + 1])
            at = end + 1
        if at is not None and at < turns and response["content"]:
            table[at] = "</Response> " + response["content"]
    return table


def questions(record, turns, fps):
    table = {}
    asked = [question for question in record["question"] if question["content"]]
    for question in asked:
        turn = turn_of(question.get("time"), fps) or 0
        if question["content"] not in table.setdefault(turn, []):
            table[turn].append(question["content"])
    table.setdefault(0, [asked[0]["content"] if asked else "the default question"])
    return {turn: "\n".join(texts) + "\n" for turn, texts in table.items()}


def seconds(time):
    """With at most three decimals, and none that says nothing."""
    return ("%.3f" % time).rstrip("0").rstrip(".")


def convert(record, turns, fps):
    messages = [{"role": "system", "content": "the prompt"}]
    asked = questions(record, turns, fps)
    for turn, state in enumerate(states(record, turns, fps)):
        tag = "<%ss-%ss>" % (seconds(turn / fps), seconds((turn + 1) / fps))
        messages.append({"role": "user", "content": asked.get(turn, "") + tag + "\n<stream>"})
        messages.append({"role": "assistant", "content": state})
    kept = {key: record[key] for key in ("video_name", "task_type", "source") if record.get(key)}
    return {"messages": messages, "videos": [record["video_path"]], **kept}


def main():
    path, turns, fps = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    with open(path, encoding="utf-8") as file:
        records = json.load(file)
    json.dump([convert(record, turns, fps) for record in records], sys.stdout)


if __name__ == "__main__":
    main()
