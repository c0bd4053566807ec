#!/usr/bin/env python3
"""Counts a history's CSV by itself, for the import tests to compare the query service's answers with.

Usage: history_counts.py pingshan|baltimore FILE.csv
Prints one JSON object. Shares no code and no mapping with the import.
"""

import csv
import json
import sys
from collections import Counter
from datetime import datetime


def rows(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def pingshan(path):
    streets, communities, types = Counter(), Counter(), Counter()
    refused = []
    for row in rows(path):
        if row["STREET_ID"] == "-" or row["COMMUNITY_ID"] == "-":
            refused.append(row["REC_ID"])
            continue
        street = "440310" + row["STREET_ID"]
        streets[street] += 1
        communities[street + row["COMMUNITY_ID"][-3:]] += 1
        types[row["EVENT_TYPE_ID"]] += 1
    return {
        "streets": streets,
        "communities": communities,
        "types": types,
        "refused": sorted(refused, key=int),
    }


def moment(text):
    return datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p") if text else None


BALTIMORE_DISTRICTS = [
    "Central",
    "Southeastern",
    "Eastern",
    "Northeastern",
    "Northern",
    "Northwestern",
    "Western",
    "Southwestern",
    "Southern",
]


def baltimore(path):
    streets, communities, states = Counter(), Counter(), Counter()
    late, in_time = [], []
    for row in rows(path):
        district = row["PoliceDistrict"]
        number = BALTIMORE_DISTRICTS.index(district) + 1 if district else 0
        street = f"990001{number:03}"
        streets[street] += 1
        communities[street + (row["PolicePost"] or "000")] += 1
        states[row["SRStatus"]] += 1
        due, closed = moment(row["DueDate"]), moment(row["CloseDate"])
        if due and closed:
            (late if closed > due else in_time).append(row["SRRecordID"])
    return {
        "streets": streets,
        "communities": communities,
        "states": states,
        "late": sorted(late),
        "in_time": sorted(in_time),
    }


if __name__ == "__main__":
    count = {"pingshan": pingshan, "baltimore": baltimore}[sys.argv[1]]
    json.dump(count(sys.argv[2]), sys.stdout, ensure_ascii=False, indent=1)
