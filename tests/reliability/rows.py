"""The 32 promises whose breach harms users, in the order of harm: what breaks each, and what shows that it holds.

A row rests on proofs of this folder (`figures.PROOFS`), on the counts of paid requests (claude.json), and on tests of
the house that `make reliability` runs too. What waits for other work says so.
"""

from __future__ import annotations

from dataclasses import dataclass

STORE = "tests/pipeline/store/remote/test_cached.py::"
TAMPER = "tests/pipeline/research/proposers/test_tampering.py::"
MAKE = "tests/pipeline/plan/test_make.py::"


@dataclass(frozen=True)
class Row:
    """One promise. `paid` names ways of the server in claude.json, all of them for `*`."""

    number: int
    promise: str
    fault: str
    proofs: tuple[str, ...] = ()
    paid: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    waits: str = ""


ROWS = (
    Row(
        1,
        "no request is paid twice unless shown as in doubt",
        "a server that misbehaves, kill -9 at every state",
        paid=("*",),
    ),
    Row(
        2,
        "spend never passes the cap",
        "caps at random, eight workers, kills, a spend limit",
        ("spending",),
        ("spend limit",),
    ),
    Row(
        3,
        "an edited recipe never returns old rows",
        "edits of recipe, code version and inputs in one workspace",
        tests=(
            f"{MAKE}test_a_change_rebuilds_exactly_what_it_touches_and_gives_what_a_fresh_run_gives",
            f"{MAKE}test_an_edited_recipe_never_meets_an_old_row",
            "tests/pipeline/store/test_input_hashes.py::test_every_way_of_editing_a_file_is_noticed",
        ),
    ),
    Row(
        4,
        "workers, memory, order and executor never change the data",
        "1, 2, 3, 7 workers; zones, hash seeds, order of sources",
        ("worlds",),
        tests=(
            "tests/pipeline/engine/test_measure.py::test_windows_do_not_change_signals",
            "tests/pipeline/engine/test_ingest.py::test_duplicate_ids_are_settled_alike_by_any_number_of_workers",
            "tests/filters/dedup/test_minhash.py::test_worker_processes_do_not_show",
        ),
    ),
    Row(
        5,
        "no partial file is ever taken as complete",
        "kill, no space, device error, short write at changes of files",
        ("faults",),
    ),
    Row(
        6,
        "a resumed run equals one that met nothing",
        "kill -9 at random times; everything unsynced dropped",
        ("kills", "power cuts"),
        waits="of 500 kills later one run could not go on, as only its last proxy's card was missing; mended, to be "
        "played again",
    ),
    Row(
        7,
        "generated code cannot escape its box",
        "attacks by every known way",
        tests=(
            f"{TAMPER}test_nothing_in_a_workspace_can_be_read",
            f"{TAMPER}test_nothing_in_a_workspace_can_be_written_removed_or_replaced",
            f"{TAMPER}test_the_key_is_in_no_variable_file_or_memory_that_it_reaches",
            f"{TAMPER}test_nothing_leaves_over_the_network_or_a_socket_of_this_machine",
            f"{TAMPER}test_no_process_or_thread_stays_behind",
            f"{TAMPER}test_the_same_attacks_go_well_where_nothing_confines_them",
            "tests/synth/sandbox/test_sandbox.py::test_no_attack_gets_out_of_a_box_and_no_cheat_passes",
            "tests/synth/sandbox/test_sandbox.py::test_the_same_attacks_and_cheats_go_well_without_a_box",
        ),
        waits="each test of the sandbox plays 66 attacks and 18 cheats (synth/sandbox/figures.json)",
    ),
    Row(
        8,
        "a verified task is correct",
        "wrong answers of every kind, answers to other tasks, right answers",
        tests=(
            "tests/synth/test_verified_tasks.py::test_no_wrong_answer_is_accepted",
            "tests/synth/test_verified_tasks.py::test_an_answer_is_checked_against_its_own_prompt",
            "tests/synth/test_verified_tasks.py::test_300_tasks_of_every_difficulty_are_accepted",
            "tests/synth/test_verified_tasks.py::test_a_task_that_its_checker_refuses_is_not_written",
            "tests/synth/test_code_tasks.py::test_an_exercise_is_kept_if_its_tests_can_be_trusted_and_each_other_end_has_its_name",
        ),
        waits="of an exercise in code: mutants that nothing tried tells from its reference are counted, not refused",
    ),
    Row(
        9,
        "a secret is never written",
        "a canary key, a success and 18 ways to fail, a server that repeats it",
        tests=(
            "tests/pipeline/engine/test_key_canary.py::test_the_key_is_in_no_file_message_log_or_traceback",
            "tests/pipeline/engine/test_key_canary.py::test_the_sdks_own_log_does_not_hold_the_key_either",
            "tests/pipeline/core/process/test_keys.py::test_no_child_process_has_the_key",
        ),
    ),
    Row(
        10,
        "readers see the old version or the new one",
        "eight racing promoters, a promotion killed before each file operation",
        tests=(
            "tests/pipeline/store/names/test_registry.py::test_of_eight_racing_promoters_none_is_lost_and_a_reader_sees_only_whole_versions",
            "tests/pipeline/store/names/test_registry.py::test_a_promotion_killed_before_any_file_operation_is_all_or_nothing_and_can_be_repeated",
            "tests/pipeline/store/names/test_registry.py::test_a_rollback_killed_before_any_file_operation_leaves_old_or_new",
        ),
    ),
    Row(
        11,
        "a dead worker never hangs a run",
        "SIGKILL of a worker at a random time",
        ("dead workers",),
        tests=(
            "tests/pipeline/engine/test_executors.py::test_a_worker_that_keeps_dying_is_named_and_the_run_does_not_hang",
            "tests/pipeline/sources/test_bombs.py::test_a_lone_slice_that_may_break_is_read_in_a_worker_and_named_if_it_does",
        ),
    ),
    Row(
        12,
        "the exit code tells the truth",
        "25 ways to end, as cron sees them",
        tests=("tests/pipeline/test_exit_codes.py::test_twenty_five_ends_have_the_right_exit_code_as_cron_sees_them",),
    ),
    Row(
        13,
        "SIGTERM leaves nobody behind, and a state to go on from",
        "SIGTERM at random times: once, twice, to all",
        ("terms",),
    ),
    Row(
        14,
        "two runs in one workspace cannot both write",
        "two at one instant; a holder stopped, killed, its lock removed",
        ("starts",),
    ),
    Row(
        15,
        "every outcome of a batch is accounted for",
        "mixed, shuffled, doubled, missing, unknown, cut, expired, archived",
        paid=(
            "mixed",
            "shuffled",
            "doubled",
            "missing",
            "unknown",
            "cut",
            "expired",
            "a day passes",
            "archived",
            "strangers",
        ),
    ),
    Row(
        16,
        "rate limits and overload cost time, not data",
        "429 with and without retry-after, 529, 500, resets, slow answers",
        paid=(
            "429 with retry-after",
            "429 without retry-after",
            "529",
            "500 before accept",
            "500 after accept",
            "reset before accept",
            "reset after accept",
            "slow after accept",
        ),
    ),
    Row(17, "rows are conserved", "random recipes over random texts", ("conserved",)),
    Row(
        18,
        "a full disk is loud and recoverable",
        "no space at changes of files, once or from there on; a small tmpfs",
        ("no space",),
        tests=(
            "tests/pipeline/test_cli_faults.py::test_a_full_disk_is_loud_and_the_run_goes_on_once_there_is_room",
            "tests/pipeline/test_cli_faults.py::test_a_write_that_fails_is_named_and_leaves_nothing_half_written",
        ),
    ),
    Row(
        19,
        "one bad document costs one document",
        "sixteen kinds of poison among good documents, 4 GiB of addresses",
        ("poisons",),
    ),
    Row(
        20,
        "a hostile file cannot crash or bloat a run",
        "spoilt files, bombs, in processes with little memory",
        ("inputs",),
        tests=(
            "tests/pipeline/sources/test_bombs.py::test_bombs_are_quarantined_and_their_neighbours_are_read",
            "tests/pipeline/sources/test_bombs.py::test_what_a_file_may_decode_to_in_all_is_bounded_by_its_size",
            "tests/pipeline/sources/test_bombs.py::test_large_metadata_is_not_held_until_the_end",
        ),
    ),
    Row(
        21,
        "nothing runs because of data or recipe",
        "pickles, YAML tags, templates, shell words; every module read for unsafe calls",
        ("executions",),
    ),
    Row(
        22,
        "a planted instruction does not buy a label",
        "orders, tags and hidden letters in documents; canaries",
        tests=(
            "tests/filters/labels/rubrics/test_fence.py::test_no_document_ends_itself",
            "tests/filters/labels/teachers/test_claude.py::test_canaries_tell_a_teacher_that_obeys_documents_from_one_that_does_not",
            "tests/filters/labels/asking/test_injections.py::test_an_order_is_found_by_its_family",
            "tests/filters/labels/asking/test_injections.py::test_a_plain_text_with_the_same_words_is_not_taken_for_an_order",
        ),
        waits="how often a real model obeys needs a key, and is measured for a release",
    ),
    Row(
        23,
        "showing documents is safe",
        "payloads in texts, URLs, ids and names, opened in Chromium",
        tests=("tests/pipeline/report/test_browser.py::test_two_hundred_payloads_stay_text",),
    ),
    Row(
        24, "names from data stay inside", "dots, slashes, control marks, device names, 300 letters, links", ("names",)
    ),
    Row(
        25,
        "mistakes of a recipe fail before work or spend",
        "typos, types, duplicates, bounds, cycles, missing files",
        ("mistakes",),
    ),
    Row(
        26,
        "identities are stable and complete",
        "every parameter of every step edited; hash seeds, zones, folders, languages",
        ("leaves", "worlds"),
        tests=(f"{MAKE}test_identities_do_not_depend_on_hash_seed_folder_time_zone_or_language",),
        waits="one Python version at a time: CI runs others",
    ),
    Row(
        27,
        "a store never shows half a file",
        "kills and cuts while uploading, slow-downs, listings behind, a store that overwrites",
        tests=(
            f"{STORE}test_a_run_that_is_killed_at_any_write_is_taken_up_here_and_elsewhere",
            f"{STORE}test_a_store_that_stays_away_ends_the_run_and_shows_no_half_of_a_result",
            f"{STORE}test_a_store_that_fails_for_a_while_is_asked_again",
            f"{STORE}test_a_listing_that_is_behind_costs_no_result",
            f"{STORE}test_a_store_that_writes_over_what_it_must_not_is_refused",
            f"{STORE}test_no_card_is_created_by_who_was_followed_while_it_uploaded",
            "tests/pipeline/store/test_garbage.py::test_a_store_is_rid_of_what_killed_uploads_left_and_of_nothing_else",
        ),
    ),
    Row(
        28,
        "corruption is noticed",
        "a bit flipped, a file cut, two files swapped, a file gone, then `tamis verify`",
        ("flips",),
    ),
    Row(
        29,
        "clock jumps change nothing",
        "the clock jumps by hours and years, to and fro, while a run works",
        ("clocks",),
        tests=("tests/pipeline/engine/test_take_over.py::test_a_clock_that_jumps_changes_nothing",),
    ),
    Row(
        30,
        "what is told of a run never breaks it",
        "trackers, pages and commands that are down, slow or full",
        tests=(
            "tests/pipeline/commands/run/test_telling.py::test_nothing_that_is_told_of_a_run_can_break_it_or_hold_it_up",
            "tests/pipeline/queries/trackers/test_send.py::test_a_full_disk_costs_the_curves_and_says_so",
            "tests/pipeline/queries/trackers/test_send.py::test_a_folder_that_cannot_be_made_leaves_outcome_and_exit_code_as_they_are",
            "tests/pipeline/queries/trackers/test_send.py::test_trackio_with_a_server_that_does_not_answer_loses_no_result",
            "tests/pipeline/queries/trackers/test_send.py::test_what_cannot_be_told_any_more_leaves_the_outcome_as_it_is",
        ),
    ),
    Row(
        31,
        "memory is bounded and flat",
        "ten times the data with the same workers",
        ("memory",),
        waits="by `--memory 32M`; what gathers takes as much as it is allowed, 2 GB by itself",
    ),
    Row(32, "upgrades read yesterday's workspace", "workspaces that earlier states of the code wrote", ("upgrades",)),
)
