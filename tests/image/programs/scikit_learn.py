"""A classifier learns the irises that ship with the library."""

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

x, y = load_iris(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)
model = RandomForestClassifier(n_estimators=30, random_state=0, n_jobs=2).fit(x_train, y_train)
assert model.score(x_test, y_test) > 0.9
