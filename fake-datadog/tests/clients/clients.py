"""Datadog's own Python clients against the fake: each check sends with one client what another reads back.

The address of the fake is the first argument. Prints a line for each check that passed; the first that
fails ends the program with its traceback.
"""

import sys
import time

import datadog
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v1.api.metrics_api import MetricsApi as MetricsV1
from datadog_api_client.v1.api.service_checks_api import ServiceChecksApi
from datadog_api_client.v1.model.distribution_point import DistributionPoint
from datadog_api_client.v1.model.distribution_points_content_encoding import (
    DistributionPointsContentEncoding,
)
from datadog_api_client.v1.model.distribution_points_payload import DistributionPointsPayload
from datadog_api_client.v1.model.distribution_points_series import DistributionPointsSeries
from datadog_api_client.v1.model.metric_content_encoding import MetricContentEncoding as EncodingV1
from datadog_api_client.v1.model.metrics_payload import MetricsPayload
from datadog_api_client.v1.model.point import Point as PointV1
from datadog_api_client.v1.model.metric_metadata import MetricMetadata
from datadog_api_client.v1.model.series import Series as SeriesV1
from datadog_api_client.v1.model.service_check import ServiceCheck
from datadog_api_client.v1.model.service_check_status import ServiceCheckStatus
from datadog_api_client.v1.model.service_checks import ServiceChecks
from datadog_api_client.v2.api.metrics_api import MetricsApi as MetricsV2
from datadog_api_client.v2.model.formula_limit import FormulaLimit
from datadog_api_client.v2.model.metric_content_encoding import MetricContentEncoding as EncodingV2
from datadog_api_client.v2.model.metric_intake_type import MetricIntakeType
from datadog_api_client.v2.model.metric_payload import MetricPayload
from datadog_api_client.v2.model.metric_point import MetricPoint
from datadog_api_client.v2.model.metric_resource import MetricResource
from datadog_api_client.v2.model.metric_series import MetricSeries
from datadog_api_client.v2.model.metrics_aggregator import MetricsAggregator
from datadog_api_client.v2.model.metrics_data_source import MetricsDataSource
from datadog_api_client.v2.model.metrics_scalar_query import MetricsScalarQuery
from datadog_api_client.v2.model.metrics_timeseries_query import MetricsTimeseriesQuery
from datadog_api_client.v2.model.query_formula import QueryFormula
from datadog_api_client.v2.model.query_sort_order import QuerySortOrder
from datadog_api_client.v2.model.scalar_formula_query_request import ScalarFormulaQueryRequest
from datadog_api_client.v2.model.scalar_formula_request import ScalarFormulaRequest
from datadog_api_client.v2.model.scalar_formula_request_attributes import (
    ScalarFormulaRequestAttributes,
)
from datadog_api_client.v2.model.scalar_formula_request_queries import ScalarFormulaRequestQueries
from datadog_api_client.v2.model.scalar_formula_request_type import ScalarFormulaRequestType
from datadog_api_client.v2.model.timeseries_formula_query_request import (
    TimeseriesFormulaQueryRequest,
)
from datadog_api_client.v2.model.timeseries_formula_request import TimeseriesFormulaRequest
from datadog_api_client.v2.model.timeseries_formula_request_attributes import (
    TimeseriesFormulaRequestAttributes,
)
from datadog_api_client.v2.model.timeseries_formula_request_queries import (
    TimeseriesFormulaRequestQueries,
)
from datadog_api_client.v2.model.timeseries_formula_request_type import (
    TimeseriesFormulaRequestType,
)

API_KEY = "fa4e0000000000000000000000000000"
APP_KEY = "fa4e000000000000000000000000000000000000"
# A bucket that has ended, so that what is read does not depend on the moment.
NOW = int(time.time()) // 20 * 20 - 40


def configuration(url, api_key=API_KEY, app_key=APP_KEY):
    keys = {"apiKeyAuth": api_key, "appKeyAuth": app_key}
    return Configuration(host=url, api_key=keys)


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def refused(status, call):
    try:
        call()
    except ApiException as error:
        equal(error.status, status)
        return error
    raise AssertionError(f"was answered, not refused with {status}")


def values(series):
    """The values of one series of `GET /api/v1/query`, nulls left out."""
    return [point[1] for point in (point.value for point in series.pointlist) if point[1] is not None]


# === datadog-api-client, v1 ===


def v1_validates_a_key(url):
    with ApiClient(configuration(url)) as client:
        equal(AuthenticationApi(client).validate().valid, True)
    with ApiClient(configuration(url, api_key="wrong")) as client:
        refused(403, AuthenticationApi(client).validate)


def v1_submits_in_every_encoding_and_queries(url):
    with ApiClient(configuration(url)) as client:
        api = MetricsV1(client)
        for encoding in (None, EncodingV1.DEFLATE, EncodingV1.GZIP):
            name = f"python.v1.{encoding.value if encoding else 'identity'}"
            point = PointV1([float(NOW), 4.5])
            series = SeriesV1(metric=name, points=[point], type="gauge", host="web-1", tags=["env:ci"])
            more = {"content_encoding": encoding} if encoding else {}
            equal(api.submit_metrics(body=MetricsPayload(series=[series]), **more).status, "ok")
            answer = api.query_metrics(NOW - 60, NOW + 20, f"avg:{name}{{env:ci,host:web-1}}.rollup(20)")
            equal(answer.status, "ok")
            equal(answer.res_type, "time_series")
            [found] = answer.series
            equal((found.metric, found.aggr, found.interval, found.query_index), (name, "avg", 20, 0))
            equal(found.scope, "env:ci,host:web-1")
            equal(values(found), [4.5])


def v1_query_without_the_right_keys_is_forbidden(url):
    with ApiClient(configuration(url, app_key="wrong")) as client:
        api = MetricsV1(client)
        refused(403, lambda: api.query_metrics(NOW - 60, NOW, "avg:m{*}"))


def v1_a_bad_query_is_an_error_with_its_place(url):
    with ApiClient(configuration(url)) as client:
        api = MetricsV1(client)
        error = refused(400, lambda: api.query_metrics(NOW - 60, NOW, "avg:m{*},avg:m{"))
        assert "line 1, column 16" in error.body["error"], error.body


def v1_submits_distributions_and_reads_percentiles(url):
    with ApiClient(configuration(url)) as client:
        api = MetricsV1(client)
        sent = [float(value) for value in range(1, 101)]
        points = [DistributionPoint([float(NOW), sent])]
        series = DistributionPointsSeries(metric="python.latency", points=points, tags=["env:ci"])
        payload = DistributionPointsPayload(series=[series])
        encoding = DistributionPointsContentEncoding.DEFLATE
        equal(api.submit_distribution_points(payload, content_encoding=encoding).status, "ok")
        queries = ["max", "min", "avg", "count", "sum"]
        text = ",".join(f"{agg}:python.latency{{*}}.rollup(20)" for agg in queries)
        found = api.query_metrics(NOW - 20, NOW + 20, text).series
        equal([values(series) for series in found], [[100], [1], [50.5], [100], [5050]])
        found = api.query_metrics(NOW - 20, NOW + 20, "p95:python.latency{*}.rollup(20)").series
        assert 94 <= values(found[0])[0] <= 96, found


def v1_lists_active_metrics_and_keeps_metadata(url):
    with ApiClient(configuration(url)) as client:
        api = MetricsV1(client)
        active = api.list_active_metrics(NOW - 600)
        assert "python.v1.gzip" in active.metrics, active
        found = api.list_metrics("metrics:python.v1.")
        assert "python.v1.gzip" in found.results.metrics, found
        metadata = MetricMetadata(description="made by a test", type="gauge", unit="byte")
        equal(api.update_metric_metadata("python.v1.gzip", metadata).description, "made by a test")
        equal(api.get_metric_metadata("python.v1.gzip").unit, "byte")
        refused(404, lambda: api.get_metric_metadata("no.such.metric"))


def v1_submits_a_service_check(url):
    with ApiClient(configuration(url)) as client:
        check = ServiceCheck(
            check="app.ok", host_name="web-1", status=ServiceCheckStatus.OK, tags=["env:ci"]
        )
        equal(ServiceChecksApi(client).submit_service_check(ServiceChecks([check])).status, "ok")


# === datadog-api-client, v2 ===


def v2_submits_in_every_encoding(url):
    with ApiClient(configuration(url)) as client:
        api = MetricsV2(client)
        encodings = (None, EncodingV2.DEFLATE, EncodingV2.GZIP, EncodingV2.ZSTD1)
        for index, encoding in enumerate(encodings):
            name = f"python.v2.{encoding.value if encoding else 'identity'}"
            series = MetricSeries(
                metric=name,
                type=MetricIntakeType.GAUGE,
                points=[MetricPoint(timestamp=NOW, value=float(index))],
                resources=[MetricResource(name="web-1", type="host")],
                tags=["env:ci"],
            )
            more = {"content_encoding": encoding} if encoding else {}
            equal(api.submit_metrics(body=MetricPayload(series=[series]), **more).errors, [])
            answer = MetricsV1(client).query_metrics(NOW - 20, NOW + 20, f"avg:{name}{{host:web-1}}.rollup(20)")
            equal(values(answer.series[0]), [index])


def two_queues(api):
    """Two gauges by queue, for the formulas."""
    for name, counts in (("python.jobs", {"mail": 6.0, "sms": 2.0}), ("python.workers", {"mail": 3.0, "sms": 2.0})):
        series = [
            MetricSeries(
                metric=name,
                type=MetricIntakeType.GAUGE,
                points=[MetricPoint(timestamp=NOW, value=value)],
                tags=[f"queue:{queue}"],
            )
            for queue, value in counts.items()
        ]
        equal(api.submit_metrics(body=MetricPayload(series=series)).errors, [])


def v2_timeseries_evaluates_formulas(url):
    with ApiClient(configuration(url)) as client:
        api = MetricsV2(client)
        two_queues(api)
        queries = [
            MetricsTimeseriesQuery(
                data_source=MetricsDataSource.METRICS, name=name, query=f"sum:python.{metric}{{*}} by {{queue}}"
            )
            for name, metric in (("jobs", "jobs"), ("workers", "workers"))
        ]
        attributes = TimeseriesFormulaRequestAttributes(
            formulas=[QueryFormula(formula="jobs / workers"), QueryFormula(formula="jobs * 10")],
            _from=(NOW - 60) * 1000,
            to=(NOW + 20) * 1000,
            interval=20000,
            queries=TimeseriesFormulaRequestQueries(queries),
        )
        request = TimeseriesFormulaRequest(
            attributes=attributes, type=TimeseriesFormulaRequestType.TIMESERIES_REQUEST
        )
        answer = api.query_timeseries_data(body=TimeseriesFormulaQueryRequest(data=request)).data
        equal(str(answer.type), "timeseries_response")
        found = answer.attributes
        equal(list(found.times.value), [NOW * 1000])
        equal(
            [(series.query_index, series.group_tags.value) for series in found.series.value],
            [(0, ["queue:mail"]), (0, ["queue:sms"]), (1, ["queue:mail"]), (1, ["queue:sms"])],
        )
        equal([row.value for row in found.values.value], [[2], [1], [60], [20]])


def v2_scalar_evaluates_formulas(url):
    with ApiClient(configuration(url)) as client:
        api = MetricsV2(client)
        two_queues(api)
        queries = [
            MetricsScalarQuery(
                aggregator=MetricsAggregator.MAX,
                data_source=MetricsDataSource.METRICS,
                name=name,
                query=f"sum:python.{metric}{{*}} by {{queue}}",
            )
            for name, metric in (("a", "jobs"), ("b", "workers"))
        ]
        attributes = ScalarFormulaRequestAttributes(
            formulas=[
                QueryFormula(formula="a / b", limit=FormulaLimit(count=10, order=QuerySortOrder.ASC))
            ],
            _from=(NOW - 60) * 1000,
            to=(NOW + 20) * 1000,
            queries=ScalarFormulaRequestQueries(queries),
        )
        request = ScalarFormulaRequest(attributes=attributes, type=ScalarFormulaRequestType.SCALAR_REQUEST)
        answer = api.query_scalar_data(body=ScalarFormulaQueryRequest(data=request)).data
        group, number = answer.attributes.columns
        equal((group.name, group.values), ("queue", [["sms"], ["mail"]]))
        equal(number.values, [1, 2])


def v2_mistakes_are_bad_requests(url):
    with ApiClient(configuration(url)) as client:
        api = MetricsV2(client)
        queries = [MetricsTimeseriesQuery(data_source=MetricsDataSource.METRICS, query="avg:m{")]
        attributes = TimeseriesFormulaRequestAttributes(
            _from=0, to=60000, queries=TimeseriesFormulaRequestQueries(queries)
        )
        request = TimeseriesFormulaRequest(
            attributes=attributes, type=TimeseriesFormulaRequestType.TIMESERIES_REQUEST
        )
        error = refused(400, lambda: api.query_timeseries_data(body=TimeseriesFormulaQueryRequest(data=request)))
        assert "line 1, column 7" in error.body["errors"][0], error.body


# === the older package ===


def the_old_package_sends_and_queries(url):
    datadog.initialize(api_key=API_KEY, app_key=APP_KEY, api_host=url, mute=False)
    equal(
        datadog.api.Metric.send(metric="python.old", points=[(NOW, 7)], tags=["env:ci"], type="gauge", host="web-1"),
        {"status": "ok"},
    )
    answer = datadog.api.Metric.query(start=NOW - 60, end=NOW + 20, query="avg:python.old{env:ci}.rollup(20)")
    equal(answer["status"], "ok")
    points = answer["series"][0]["pointlist"]
    equal([value for _, value in points if value is not None], [7])
    assert "python.old" in datadog.api.Metric.list(NOW - 600)["metrics"]


def the_old_package_sends_distributions_checks_and_events(url):
    sent = datadog.api.Distribution.send(distributions=[{"metric": "python.old.dist", "points": [(NOW, [1, 2, 3])]}])
    equal(sent, {"status": "ok"})
    equal(datadog.api.ServiceCheck.check(check="app.ok", host_name="web-1", status=0), {"status": "ok"})
    answer = datadog.api.Metric.query(start=NOW - 60, end=NOW + 20, query="max:python.old.dist{*}.rollup(20)")
    equal([value for _, value in answer["series"][0]["pointlist"] if value is not None], [3])


def the_old_package_sees_errors(url):
    datadog.initialize(api_key=API_KEY, app_key="wrong", api_host=url, mute=False)
    try:
        datadog.api.Metric.query(start=NOW - 60, end=NOW, query="avg:m{*}")
    except datadog.api.exceptions.ApiError as error:
        assert "Forbidden" in str(error), error
        return
    raise AssertionError("was answered with a wrong key")


CHECKS = [
    v1_validates_a_key,
    v1_submits_in_every_encoding_and_queries,
    v1_query_without_the_right_keys_is_forbidden,
    v1_a_bad_query_is_an_error_with_its_place,
    v1_submits_distributions_and_reads_percentiles,
    v1_lists_active_metrics_and_keeps_metadata,
    v1_submits_a_service_check,
    v2_submits_in_every_encoding,
    v2_timeseries_evaluates_formulas,
    v2_scalar_evaluates_formulas,
    v2_mistakes_are_bad_requests,
    the_old_package_sends_and_queries,
    the_old_package_sends_distributions_checks_and_events,
    the_old_package_sees_errors,
]

if __name__ == "__main__":
    for check in CHECKS:
        check(sys.argv[1].rstrip("/"))
        print("passed:", check.__name__)
