"""Each sentence of the old extension's documentation that promises a behaviour, and its test."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GUIDE = " ".join((HERE.parent / "docs" / "flask-track-usage.md").read_text().split())

# "test": the sentences that it proves. Of long sentences the test's name has the middle or the end.
PROMISES = {
    "simple_its_a_flask_extension": [
        "Simple. It's a Flask extension.",
        "Basic metrics tracking for your Flask application.",
    ],
    "storing_basic_metrics_such_as_remote_ip_address_and_user_agent": [
        "The core of library is very light and focuses more on storing basic metrics such as remote ip "
        "address and user agent.",
    ],
    "no_extra_cookies_or_javascript_are_used_for_usage_tracking": [
        "No extra cookies or javascript are used for usage tracking.",
    ],
    "supports_either_include_or_exempt_for_views": ["Supports either include or exempt for views."],
    "provides_lite_abstraction_for_data_retrieval": ["Provides lite abstraction for data retrieval."],
    "multiple_storage_options_available": ["Multiple storage options available."],
    "multiple_storage_options_can_be_used": ["Multiple storage options can be used."],
    "pluggable_functionality_for_storage_instances": ["Pluggable functionality for storage instances."],
    "unique_visitor_tracking_if_you_are_wanting_to_use_cookies": [
        "Unique visitor tracking if you are wanting to use Flask's cookie storage.",
        "Turn on unique visitor tracking via cookie on or off.",
    ],
    "summation_hooks_for_live_count_of_common_web_analysis_statistics_such_as_hit_counts": [
        "Summation hooks for live count of common web analysis statistics such as hit counts.",
    ],
    "we_will_just_print_out_the_data_for_the_example_and_put_two_writers": [
        "We will just print out the data for the example",
        "Make an instance of the extension and put two writers",
        "Include the view in the metrics",
    ],
    "run_the_alembic_upgrade_the_storage_does_it_itself": ["Run the alembic upgrade like so:"],
    "redis_should_not_need_modification": ["Redis should not need modification"],
    "blueprints_can_be_included_or_excluded_in_their_entirety": [
        "Blueprints can be included or excluded from Flask-TrackUsage in their entirety.",
    ],
    "now_all_of_a_blueprints_views_will_be_in_the_include_list": [
        "Now ALL of a_blueprint's views will be in the include list",
    ],
    "now_all_of_different_blueprints_will_be_in_the_exclude_list": [
        "Now ALL of different_blueprints will be in the exclude list",
    ],
    "if_set_to_true_then_geography_information_is_also_stored_in_the_usage_logs": [
        "freegeoip.net integration for storing geography of the visitor.",
        "Turn FreeGeoIP integration on or off. If set to true, then geography information is also stored in "
        "the usage logs.",
    ],
    "use_freegeoip_default_is_false": ["TRACK_USAGE_USE_FREEGEOIP Default: False"],
    "if_using_sql_storage_the_returned_json_is_converted_to_a_string": [
        "If using SQLStorage, the returned JSON is converted to a string.",
    ],
    "include_or_exclude_views_values_are_include_and_exclude": [
        "TRACK_USAGE_INCLUDE_OR_EXCLUDE_VIEWS Values: include, exclude",
    ],
    "include_or_exclude_views_default_is_exclude": [
        "Default: exclude. If views should be included or excluded by default.",
    ],
    # The next four sentences have `include` and `exclude` exchanged; see the comment beside the tests.
    "when_set_to_include_each_routed_view_must_be_explicitly_included_via_decorator_or_blueprint_method": [
        "When set to exclude each routed view must be explicitly included via decorator or blueprint include "
        "method.",
    ],
    "if_a_routed_view_is_not_included_it_will_not_be_tracked": [
        "If a routed view is not included it will not be tracked.",
    ],
    "when_set_to_exclude_each_routed_view_must_be_explicitly_excluded_via_decorator_or_blueprint_method": [
        "When set to include each routed view must be explicitly excluded via decorator or blueprint exclude "
        "method.",
    ],
    "if_a_routed_view_is_not_excluded_it_will_be_tracked": [
        "If a routed view is not excluded it will be tracked.",
    ],
    "track_usage_cookie_default_is_false": ["TRACK_USAGE_COOKIE Default: False"],
    "if_true_then_the_unique_visitor_id_a_quasi_random_number_is_also_stored": [
        "If True, then the unique visitor ID (a quasi-random number) is also stored in the usage logs.",
    ],
    "the_following_are_built_in_ready_to_use_storage_backends": [
        "The following are built-in, ready-to-use storage backends.",
    ],
    "inputs_should_be_passed_in_init_when_creating_a_storage_instance": [
        "Inputs for set_up should be passed in __init__ when creating a storage instance",
    ],
    "all_storage_backends_other_than_print_storage_provide_get_usage": [
        "All storage backends, other than printer.PrintStorage, provide get_usage.",
    ],
    "results_of_get_usage_should_always_look_like_this": [
        "Results that are returned from all instances of get_usage should always look like this:",
    ],
    "xforwardfor_item_added_directly_after_remote_addr": [
        "Changed in version 1.1.0: xforwardfor item added directly after remote_addr",
    ],
    "the_basic_function_of_the_library_logs_one_unit_of_information_per_request_received": [
        "The basic function of the library simply logs on unit of information per request received.",
    ],
    "hooks_are_called_after_the_individual_log_is_stored": [
        'However, you can also add post-storage "hooks" that are called after the individual log is stored.',
        "The library supports post-storage functions that can optionally do more after the request itself is "
        "stored.",
    ],
    "in_theory_anything_could_be_triggered_after_the_storage": [
        "In theory, anything could be triggered after the storage.",
    ],
    "hello_world_would_be_called_once_each_time_print_writers_output_is_invoked": [
        "In this example, the helloWorld function would be called once each time PrintWriters output is "
        "invoked.",
    ],
    "the_keyword_parameters_are_those_found_in_the_retrieving_log_data_function": [
        "The keyword parameters are those found in the Retrieving Log Data function.",
    ],
    "some_storages_also_add_more_keys": ["Some Storages/Writers also add more keys."],
    "not_all_stores_support_all_of_these_hooks_here_all_that_can_be_read_do": [
        "This library has a list of standardized hooks that are used for log summarizing.",
        "Not all Stores support all of these hooks.",
    ],
    "to_use_simply_add_the_list_of_functions_you_wish_to_call": [
        "Usage is fairly straightforward:",
        "To use, simply add the list of functions you wish to call from the context of call to TrackUsage.",
        "For example, to add sumRemotes and sumLanguages to a MongoEngineStorage storage:",
    ],
    "hour_one_common_unit_is_kept_for_each_hour_of_a_particular_date": [
        'one common unit of "storage" is kept to keep track of the hourly traffic for each hour of a '
        "particular date.",
    ],
    "date_one_common_unit_is_kept_to_keep_track_of_the_daily_traffic_for_a_particular_date": [
        'one common unit of "storage" is kept to keep track of the daily traffic for a particular date.',
    ],
    "month_the_month_stored_is_the_first_day_of_the_month_march_2017_under_2017_03_01": [
        'one common unit of "storage" is kept to keep track of the monthly traffic for a particular month. '
        "The month stored is the first day of the month. For example, the summary for March 2017 would be "
        "stored under the date of 2017-03-01.",
    ],
    "if_you_wish_to_delete_hourly_data_that_is_over_60_days_old_a_setting_does_it": [
        "Please note that this library DOES NOT handle expiration of old data. If you wish to delete, say, "
        "hourly data that is over 60 days old, you will need to create a seperate process to handle this.",
    ],
    "this_library_merely_adds_new_data_and_presumes_limitless_storage_where_it_is_told_to": [
        "This library merely adds or updates new data and presumes limitless storage.",
    ],
    "hits_the_total_number_of_requests_seen": ["The total number of requests seen."],
    "transfer_the_total_number_of_bytes_transfered_in_response_to_all_requests_seen": [
        "The total number of bytes transfered in response to all requests seen.",
    ],
    "sum_urls_traffic_is_summarized_for_each_url_requested_of_the_flask_server": [
        "Traffic is summarized for each URL requested of the Flask server.",
    ],
    "sum_remotes_traffic_is_summarized_for_each_remote_ip_address_seen_by_the_flask_server": [
        "Traffic is summarized for each remote IP address seen by the Flask server.",
    ],
    "sum_user_agents_traffic_is_summarized_for_each_client_aka_web_browser_seen": [
        "Traffic is summarized for each client (aka web browser) seen by the Flask server.",
    ],
    "sum_languages_traffic_is_summarized_for_each_language_seen_in_the_requests": [
        "Traffic is summarized for each language seen in the requests sent to the Flask server.",
    ],
    "sum_server_traffic_is_summarized_for_all_requests_sent_to_the_flask_server": [
        "Traffic is summarized for all requests sent to the Flask server.",
    ],
    "sum_visitors_traffic_is_summarized_for_each_unique_visitor_as_tracked_by_cookies": [
        "sumVisitors - unique visitors (as tracked by cookies)",
        "Traffic is summarized for each unique visitor of the Flask server.",
    ],
    "for_this_to_function_the_optional_track_usage_cookie_function_must_be_enabled_in_config": [
        "For this to function, the optional TRACK_USAGE_COOKIE function must be enabled in config.",
    ],
    "user_behavior_such_as_switching_browsers_will_make_them_appear_to_be_multiple_users": [
        "This metric is limited by the cookie technology. User behavior such as switching browsers or "
        'turning on "anonymous mode" on a browser will make them appear to be multiple users.',
    ],
    "sum_geo_traffic_is_summarized_for_the_tracked_geographies_only_the_country_is_used": [
        "Traffic is summarized for the tracked geographies of remote IPs seen by the Flask server.",
        "While the geography function provides a great deal of information, only the country is used for "
        "this summarization.",
    ],
    "for_sum_geo_to_properly_function_geography_must_be_enabled": [
        "For this to properly function, the optional TRACK_USAGE_FREEGEOIP config must be enabled.",
    ],
    "the_service_of_the_freegeoip_endpoint_is_never_asked": [
        "If TRACK_USAGE_USE_FREEGEOIP is True, then this field must be set.",
        'Mark the location for the IP address with "{ip}".',
        "Set the URL prefix used to map the remote IP address of each request to a geography. The service "
        "must return a JSON response.",
    ],
}
# Promises that are kept otherwise or not at all: what the migration guide says of them.
OTHERWISE = {
    "Supports Python 2.7 and 3+.": "Python 3.11 or later",
    "pip install Flask-Track-Usage": "Imports",
    "MongoDB should not need modification": "Nothing of the old extension's is read, changed or deleted.",
    "CouchDB should not need modification": "Nothing of the old extension's is read, changed or deleted.",
    "mongo.MongoEngineStorage": "none: `MongoStorage`, whose `get_sum` answers every `sum…`",
    "This storage is not backwards compatible with sql.SQLStorage 1.0.x": "its table `hits` itself",
    "TRACK_USAGE_FREEGEOIP_ENDPOINT": "not read: nobody is asked where a visitor is",
}


def proofs() -> set[str]:
    trees = [ast.parse(path.read_text()) for path in HERE.glob("test_promises_*.py")]
    found = [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {name.removeprefix("test_") for name in found if name.startswith("test_")}


def test_every_promise_has_a_test_of_its_name() -> None:
    assert sorted(PROMISES.keys() - proofs()) == []


@pytest.mark.parametrize("name", PROMISES)
def test_a_tests_name_has_the_words_of_its_sentence(name: str) -> None:
    said = set(re.findall(r"[a-z0-9]+", " ".join(PROMISES[name]).replace("'", "").lower()))
    words = name.split("_")
    assert sum(word in said for word in words) >= len(words) / 2, said


@pytest.mark.parametrize("sentence", OTHERWISE)
def test_what_is_not_kept_as_it_was_promised_stands_in_the_guide(sentence: str) -> None:
    assert OTHERWISE[sentence] in GUIDE
