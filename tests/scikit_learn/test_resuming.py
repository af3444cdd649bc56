"""A search that is saved and resumed, on any worker, gives what an uninterrupted one gives."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from genoevo.checkpoint import Checkpoint
from genoevo.evaluation import Attempt
from genoevo.pools import ProcessPool
from genoevo.state import load
from genoevo_sklearn import Choice, Float, GeneticFeatureSelector, GeneticSearchCV, Integer, ListOf, Option, searching
from genoevo_sklearn import fits as fits_module
from tests.scikit_learn.workers import Ending, Interrupting, Layered, Sleeping

SMALL = {"cv": 3, "population_size": 6, "random_state": 4}
SPACE = {
    "depth": Choice([Option(1, {"width": Integer(1, 9)}), 2]),
    "layers": ListOf({"units": Integer(1, 20, log=True), "rate": Float(0, 1)}, 1, 4),
}
SEARCHES = {
    "selector": GeneticFeatureSelector(GaussianNB(), max_features=4, feature_cost=0.01, **SMALL),
    "front": GeneticFeatureSelector(GaussianNB(), pareto=True, **SMALL),
    "search": GeneticSearchCV(KNeighborsClassifier(), {"n_neighbors": Integer(1, 60)}, **SMALL),
    "layers": GeneticSearchCV(Layered(), SPACE, **SMALL),
}


def outcome(found):
    """All that a search found, without what a clock measured, as what == compares."""
    measured = {name: value for name, value in found.cv_results_.items() if "_time" not in name}
    results = {name: np.asarray(value, dtype=object).tolist() for name, value in measured.items()}
    return repr(results), found.best_index_, list(found.logbook_)


@pytest.fixture(params=SEARCHES)
def search(request):
    return clone(SEARCHES[request.param])


def test_a_resumed_search_ends_as_an_uninterrupted_one(search, classes, tmp_path):
    whole = clone(search).set_params(generations=6).fit(*classes)
    saved = search.set_params(checkpoint=tmp_path / "search.npz", report=tmp_path / "page.html")
    for generations in (1, 3, 6):
        found = clone(saved).set_params(generations=generations).fit(*classes)
        assert found.n_generations_ == generations
    assert outcome(found) == outcome(whole)
    assert (found.n_candidates_, found.n_cached_) == (whole.n_candidates_, whole.n_cached_)


def test_ctrl_c_saves_the_generation_and_the_next_fit_resumes_it(classes, tmp_path, monkeypatch):
    search = clone(SEARCHES["layers"]).set_params(estimator=Interrupting(), generations=5)
    whole = clone(search).fit(*classes)
    monkeypatch.setattr(Interrupting, "fits", 0)
    monkeypatch.setattr(
        Interrupting, "at", 30
    )  # in the second generation: the first has six candidates of three fits
    search.set_params(checkpoint=tmp_path / "search.npz")
    with pytest.raises(KeyboardInterrupt):
        search.fit(*classes)
    assert Interrupting.fits == 36
    assert outcome(search.fit(*classes)) == outcome(whole)


@pytest.fixture
def fits(monkeypatch):
    """The number of fits, and at which of them the search ends at once."""
    fits = SimpleNamespace(count=0, end=None)
    fit_and_score = fits_module.fit_and_score

    def counted(*given, **settings):
        fits.count += 1
        if fits.count == fits.end:
            raise KeyboardInterrupt
        return fit_and_score(*given, **settings)

    monkeypatch.setattr(fits_module, "fit_and_score", counted)
    return fits


@pytest.mark.parametrize(("name", "at"), [("layers", 4), ("layers", 17), ("layers", 31), ("front", 30)])
def test_fits_of_an_unfinished_generation_are_saved(classes, tmp_path, monkeypatch, fits, name, at):
    search = clone(SEARCHES[name]).set_params(generations=4, report=tmp_path / "page.html")
    whole = clone(search).fit(*classes)
    needed, fits.count, fits.end = fits.count, 0, at
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    monkeypatch.setattr(searching, "Checkpoint", partial(Checkpoint, seconds=0))
    search.set_params(checkpoint=tmp_path / "search.npz")
    with pytest.raises(KeyboardInterrupt):
        search.fit(*classes)
    found = search.fit(*classes)
    assert outcome(found) == outcome(whole)
    assert (found.n_candidates_, found.n_cached_) == (whole.n_candidates_, whole.n_cached_)
    assert fits.count == needed + (at - 1) % 3 + 1  # the fits of the candidate that was not finished, of three
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


class Unordered(ProcessPool):
    """A pool whose second answer arrives before the first, the fourth before the third, and so on."""

    def attempt(self, population, *, hasty=False):
        whole = self.evaluator.attempt(population)
        arrived = np.full_like(whole.values, np.nan)
        for row in np.arange(len(population)).reshape(-1, 2)[:, ::-1].ravel():
            arrived[row] = whole.values[row]
            self.answered(Attempt(arrived, whole.faults))
        return whole


def test_answers_of_workers_are_saved_in_the_order_of_candidates(classes, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "Checkpoint", partial(Checkpoint, seconds=0))
    sizes, save = [], Checkpoint.save

    def noted(checkpoint, saved):
        save(checkpoint, saved)
        sizes.append(len(load(checkpoint.path)["trials"]["values"]))

    monkeypatch.setattr(Checkpoint, "save", noted)
    alone = clone(SEARCHES["layers"]).set_params(generations=1)
    found = clone(alone).set_params(pool=Unordered, checkpoint=tmp_path / "search.npz").fit(*classes)
    assert sizes[:5] == [2, 2, 4, 4, 6]
    assert outcome(found) == outcome(alone.fit(*classes))


def test_a_search_of_which_every_fit_failed_leaves_no_checkpoint(classes, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "Checkpoint", partial(Checkpoint, seconds=0))
    path = tmp_path / "search.npz"
    search = GeneticSearchCV(LogisticRegression(), {"C": [-1.0, -2.0]}, checkpoint=path, **SMALL)
    with pytest.raises(ValueError, match=r"All the \d+ fits failed"):
        search.fit(*classes)
    assert not path.exists()


def test_a_finished_search_is_not_searched_again(search, classes, tmp_path):
    saved = search.set_params(checkpoint=tmp_path / "search.npz", generations=2)
    first = clone(saved).fit(*classes)
    times = first.cv_results_["mean_fit_time"]
    assert clone(saved).fit(*classes).cv_results_["mean_fit_time"].tolist() == times.tolist()


def test_the_page_of_a_resumed_search_shows_all_of_it(classes, tmp_path):
    pages = []
    for steps in ([5], [2, 5]):
        settings = {"report": tmp_path / "page.html", "checkpoint": tmp_path / f"{len(steps)}.npz"}
        for generations in steps:
            clone(SEARCHES["layers"]).set_params(generations=generations, **settings).fit(*classes)
        pages.append((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    assert '"generation":[1.0,2.0,3.0,4.0,5.0]' in pages[0]
    assert '"optimum":null' in pages[0]


def test_failures_are_remembered(classes, tmp_path):
    search = GeneticSearchCV(
        LogisticRegression(), {"C": [-1.0, 1.0, 2.0]}, checkpoint=tmp_path / "search.npz", **SMALL
    )
    for generations in (1, 2):
        with pytest.warns(FitFailedWarning, match="'C' parameter"), pytest.warns(UserWarning, match="non-finite"):
            found = clone(search).set_params(generations=generations).fit(*classes)
    assert np.isnan(found.cv_results_["mean_test_score"]).sum() == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"estimator": LinearRegression()}, "estimator"),
        ({"scoring": "f1"}, "scoring"),
        ({"cv": 4}, "splits"),
        ({"population_size": 7}, "population_size"),
        ({"random_state": 5}, "random_state"),
        ({"max_features": 3}, "features"),
        ({"feature_cost": 0.5}, "feature_cost"),
        ({"return_train_score": True}, "columns"),
    ],
)
def test_a_checkpoint_of_another_search_is_refused_by_what_differs(classes, tmp_path, change, what):
    saved = clone(SEARCHES["selector"]).set_params(checkpoint=tmp_path / "search.npz", generations=1).fit(*classes)
    with pytest.raises(ValueError, match=f"belongs to a search with {what} "):
        clone(saved).set_params(**change).fit(*classes)


def test_a_checkpoint_of_another_scorer_is_refused_and_one_of_the_same_is_not(classes, tmp_path):
    saved = clone(SEARCHES["selector"]).set_params(checkpoint=tmp_path / "search.npz", generations=1)
    clone(saved).set_params(scoring=lambda model, x, y: model.score(x, y)).fit(*classes)
    clone(saved).set_params(scoring=lambda model, x, y: model.score(x, y)).fit(*classes)
    with pytest.raises(ValueError, match=r"belongs to a search with scoring 'code .*, got 'code "):
        clone(saved).set_params(scoring=lambda model, x, y: -model.score(x, y)).fit(*classes)


def test_an_estimator_with_its_own_repr_is_saved_and_known_by_its_parameters(classes, tmp_path):
    class Terse(GaussianNB):
        def __repr__(self):
            return "Terse()"

    saved = clone(SEARCHES["selector"]).set_params(checkpoint=tmp_path / "search.npz", generations=1)
    for _ in range(2):
        assert clone(saved).set_params(estimator=Terse()).fit(*classes).n_generations_ == 1
    with pytest.raises(ValueError, match="belongs to a search with estimator"):
        clone(saved).set_params(estimator=Terse(var_smoothing=0.1)).fit(*classes)


def test_a_checkpoint_of_other_data_is_refused(classes, tmp_path):
    x, y = classes
    saved = clone(SEARCHES["selector"]).set_params(checkpoint=tmp_path / "search.npz", generations=1).fit(x, y)
    with pytest.raises(ValueError, match="belongs to a search with data "):
        clone(saved).fit(x + 1, y)


def test_a_file_that_is_no_search_is_refused(classes, tmp_path):
    from genoevo.state import save

    path = tmp_path / "search.npz"
    saved = clone(SEARCHES["selector"]).set_params(checkpoint=path, generations=1).fit(*classes)
    path.write_bytes(b"no state")
    with pytest.raises(ValueError, match=r"search.npz is not a state file of genoevo"):
        clone(saved).fit(*classes)
    save(path, {"kind": "evolution"})
    with pytest.raises(ValueError, match="does not identify its search"):
        clone(saved).fit(*classes)


def test_worker_processes_find_what_this_process_finds(classes):
    alone, spread = (
        clone(SEARCHES["layers"]).set_params(n_jobs=jobs, generations=2).fit(*classes) for jobs in (1, 2)
    )
    assert outcome(alone) == outcome(spread)


def test_a_fit_that_ends_its_process_or_takes_too_long_has_failed(classes):
    pool = partial(ProcessPool, timeout=5)
    reasons = {Ending(): r"ended its worker process \(exit code 3\)", Sleeping(): "did not return within 5 seconds"}
    for estimator, reason in reasons.items():
        search = GeneticSearchCV(estimator, {"number": [0, 1]}, pool=pool, generations=1, **{**SMALL, "cv": 2})
        with pytest.warns(FitFailedWarning, match=reason), pytest.warns(UserWarning, match="non-finite"):
            found = search.fit(*classes)
        assert found.best_params_ == {"number": 0}
        assert np.isnan(found.cv_results_["mean_test_score"]).sum() == 1


def test_an_error_of_a_worker_is_raised_if_the_user_wants_that(classes):
    search = GeneticSearchCV(LogisticRegression(), {"C": [-1.0, -2.0]}, n_jobs=2, error_score="raise", **SMALL)
    with pytest.raises(RuntimeError, match="'C' parameter"):
        search.fit(*classes)


def test_ray_gets_all_its_cores_or_as_many_as_there_are_jobs(classes, monkeypatch):
    asked = []

    class Pool:
        def __init__(self, fits, workers):
            asked.append(workers)
            self.attempt, self.failure = fits.attempt, fits.failure

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            asked.append("closed")

    monkeypatch.setitem(searching.POOLS, "ray", Pool)
    for jobs in (None, 3, -1):
        clone(SEARCHES["selector"]).set_params(pool="ray", n_jobs=jobs, generations=1).fit(*classes)
    assert asked == [1, "closed", 3, "closed", None, "closed"]


def test_progress_is_shown_if_verbose(classes, monkeypatch, capsys):
    monkeypatch.setattr("genoevo.evolution.progress.QUIET", -1.0)
    monkeypatch.setattr("genoevo.evolution.progress.PLAIN_INTERVAL", 0.0)
    clone(SEARCHES["selector"]).set_params(verbose=1, generations=2).fit(*classes)
    shown = capsys.readouterr().err
    assert "generation 2 of at most 2  12 evaluations  best 0." in shown
    clone(SEARCHES["selector"]).set_params(generations=2).fit(*classes)
    assert capsys.readouterr().err == ""
